"""Files that can't hold a user are left alone, and none that holds one is."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import (
    ArchiveError,
    QueryRejected,
    StrategyExecutionLogRepository,
    erase_archived,
)
from execlog.archive.files import Files
from tests.archiving import archived, files_of, flip, move, path, with_partitions
from tests.databases import TABLE
from tests.db.test_archive_changed import change
from tests.maintaining import DAY, day
from tests.types import Pool

Log = StrategyExecutionLogRepository

HOLDS = "select execlog.may_hold(users, $2) from execlog.archived_file where path = $1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
async def log(pool: Pool, repository: Log, folder: Path) -> Log:
    """Two files, one of u1 and one of u2, each of them with runs of no user and of u3 too."""
    await with_partitions(pool, 20, 21)
    for ago, user in ((20, "u1"), (21, "u2")):
        await repository.insert_rows(
            day(ago, external_user_id=one) for one in (user, user, "u3", None)
        )
    await archived(pool, folder)
    return Log(pool, archive=folder)


async def holds(pool: Pool, path: str, user: str) -> Any:
    return await pool.fetchval(HOLDS, path, hashlib.sha256(user.encode()).digest())


async def erased(pool: Pool, folder: Path, user: str, **more: bool) -> list[tuple[str, int]]:
    asked: dict[str, Any] = {"archive": folder, "external_user_id": user, **more}
    return [(one.path, one.executions) async for one in erase_archived(pool, **asked)]


async def test_every_user_of_a_file_is_found_and_few_others(
    pool: Pool, repository: Log, folder: Path
) -> None:
    dice = random.Random(3)
    odd = ["", " ", "\\x00", "it's u", "ü", "u\u0308", "\U0001f600" * 40, "\ud7ff", "u" * 400]
    users = [*odd, *(f"{dice.getrandbits(64)}" for _ in range(1500))]
    await with_partitions(pool, 20, 21)
    await repository.insert_rows([*(day(20, external_user_id=one) for one in users), day(21)])
    await archived(pool, folder)
    sql = "select count(*) filter (where execlog.may_hold(users, digest)) from unnest($1::bytea[])"
    sql += " as digest cross join execlog.archived_file where path = $2"
    digests = [hashlib.sha256(one.encode()).digest() for one in users]
    assert await pool.fetchval(sql, digests, path(20)) == len(users)
    assert await pool.fetchval(sql, digests, path(21)) == 0
    others = [hashlib.sha256(f"other {n}".encode()).digest() for n in range(5000)]
    assert await pool.fetchval(sql, others, path(20)) < 150
    log = Log(pool, archive=folder)
    assert await log.count_executions(external_user_id=users) == len(users)
    for one in odd:
        [found] = await log.list_executions(external_user_id=one)
        assert found.external_user_id == one


async def test_files_without_the_user_are_not_opened(pool: Pool, log: Log, folder: Path) -> None:
    flip(folder / path(21))
    assert await log.count_executions(external_user_id="u1") == 2
    assert len([one async for one in log.stream(external_user_id="u1")]) == 2
    assert len(await log.breakdown(by="status", external_user_id="u1")) == 1
    assert await log.count_executions(external_user_id=["u4", "u5"]) == 0
    assert await log.count_executions(external_user_id=[]) == 0
    many = [f"other {n}" for n in range(11)]  # most files would seem to hold one of so many
    for users in ("u2", "u3", ["u4", "u2"], many, None):
        with pytest.raises(ArchiveError, match=path(21)):
            await log.count_executions(external_user_id=users)
    # Without users a filter is empty. A connection's first plans are made for its bytes.
    await pool.execute("update execlog.archived_file set users = '' where path = $1", path(21))
    await pool.expire_connections()
    assert await log.count_executions(external_user_id="u1") == 2
    # A file of an earlier version has no filter.
    await pool.execute("update execlog.archived_file set users = null")
    with pytest.raises(ArchiveError, match=path(21)):
        await log.count_executions(external_user_id="u1")


async def test_erasure_looks_into_files_that_may_hold_the_user(
    pool: Pool, log: Log, folder: Path
) -> None:
    move(folder / path(21), folder / "away")
    (folder / path(21)).write_bytes(bytes((folder / "away").stat().st_size))
    assert await erased(pool, folder, "u1", only_count=True) == [(path(21), 0), (path(20), 2)]
    assert await erased(pool, folder, "u1") == [(path(21), 0), (path(20, 2), 2)]
    assert not await holds(pool, path(20, 2), "u1") and await holds(pool, path(20, 2), "u3")
    assert await erased(pool, folder, "u1") == [(path(21), 0), (path(20, 2), 0)]
    with pytest.raises(ArchiveError, match=path(21)):
        await erased(pool, folder, "u3")
    (folder / "away").replace(folder / path(21))
    await pool.execute("update execlog.archived_file set users = null")
    assert await erased(pool, folder, "u2") == [(path(21, 2), 2), (path(20, 2), 0)]
    assert await erased(pool, folder, "u3") == [(path(21, 3), 1), (path(20, 3), 1)]
    assert [await holds(pool, path(ago, 3), "u3") for ago in (20, 21)] == [False, False]


async def test_a_successor_has_the_users_of_the_rows_that_were_changed(
    pool: Pool, repository: Log, folder: Path
) -> None:
    await with_partitions(pool, 20)
    row = day(20, status="error", external_user_id="u1")
    await repository.insert_rows([row, day(20, external_user_id="u2")])
    await archived(pool, folder, retain_failures=30 * DAY)
    await change(pool, "external_user_id", "'u9'", row.id)
    await archived(pool, folder)
    assert files_of(folder) == [path(20, 3)]
    found = [await holds(pool, path(20, 3), one) for one in ("u1", "u2", "u9")]
    assert found == [False, True, True]


async def test_a_user_who_is_erased_beside_a_read_is_no_error(
    pool: Pool, log: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor is not listed for that user, but it took the place of the file all the same."""
    check, users = Files.check, ["u1"]

    async def checked(*given: Any) -> None:
        while users:
            await erased(pool, folder, users.pop())
        await check(*given)

    monkeypatch.setattr(Files, "check", checked)
    assert await log.count_executions(external_user_id="u1") == 0


async def test_a_tenant_does_not_learn_whether_files_hold_a_user(
    dsn: str, pool: Pool, log: Log, folder: Path
) -> None:
    role = "tenant_of_users"
    await pool.execute(
        f"create role {role}; grant usage on schema execlog to {role};"
        f" grant select on all tables in schema execlog to {role};"
        f" grant execute on function execlog.log_id() to {role};"
        f" alter table {TABLE} enable row level security;"
        f" create policy own on {TABLE} for select to {role} using (realm_id = 'r')"
    )
    try:
        settings = {"role": role}
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings=settings
        ) as own:
            for user in ("u1", "u4"):
                with pytest.raises(QueryRejected, match="row level security"):
                    await Log(own, archive=folder).count_executions(external_user_id=user)
    finally:
        await pool.execute(f"drop policy own on {TABLE}; drop owned by {role}; drop role {role}")
