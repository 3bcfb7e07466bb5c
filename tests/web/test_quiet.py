"""An empty log says how to record; what never ran is told from what does not run now."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.web import Scope, create_app, first_run
from execlog.web.quiet import quiet_strategy
from execlog.web.view import View
from tests.rows import row
from tests.types import Pool
from tests.web.test_api import client

DAY = timedelta(days=1)


async def main_of(api: httpx2.AsyncClient, **given: Any) -> str:
    found = await api.get("/", params=given)
    assert found.status_code == 200, found.text
    page = found.text.partition("<main")[2].partition("</main>")[0]
    assert "A part is missing" not in page
    return page


def words(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split()).replace(" .", ".")


async def test_an_empty_log_shows_how_to_record(pool: Pool) -> None:
    async with client(create_app(pool)) as api:
        page = await main_of(api)
        assert "No run is stored yet" in page
        assert "first.py" in page
        assert "Newest failures" not in page
        for given in ({"realm": "acme"}, {"strategy_version": "3"}):
            assert "No run is stored yet" not in await main_of(api, **given)
    scope = Scope(realms=["acme"])
    async with client(create_app(pool, authorize=lambda request: scope)) as api:
        page = await main_of(api)
        assert "first.py" not in page
        assert "No run is stored that you may see." in words(page)


@pytest.mark.parametrize("schema", ["execlog", pytest.param("other_log", marks=pytest.mark.long)])
async def test_the_program_that_it_shows_records_a_run(
    dsn: str, pool: Pool, tmp_path: Path, schema: str
) -> None:
    """As it is on the page, with nothing but the connection string."""
    await execlog.migrate(dsn, schema=schema)
    async with client(create_app(pool, schema=schema)) as api:
        page = await main_of(api)
        [program, commands] = map(html.unescape, re.findall(r"<pre[^>]*>([^<]*)</pre>", page))
        assert program.strip().count("\n") <= 12
        (tmp_path / "first.py").write_text(program)
        environment = {**os.environ, "EXECLOG_DSN": dsn}
        for words_of in (["first.py"], ["-m", *commands.splitlines()[-1].split()]):
            running = await asyncio.create_subprocess_exec(
                sys.executable,
                *words_of,
                cwd=tmp_path,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            said, complaints = await running.communicate()
            assert (running.returncode, complaints) == (0, b""), complaints
        assert b"ok" in said
        [found] = (await api.get("/api/executions?id=first")).json()
        assert (found["status"], found["points"]) == ("ok", 10)
        assert "first.py" not in await main_of(api)


def test_the_schema_is_named_only_if_it_is_another() -> None:
    usual, other = first_run.of("execlog"), first_run.of("mine")
    assert "schema" not in usual.program + usual.commands
    assert 'schema="mine"' in other.program
    assert "--schema mine" in other.commands


async def test_what_does_not_run_now_is_not_unknown(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    long_ago = datetime.now(UTC) - 40 * DAY
    await repository.insert_rows([row(created_at=long_ago, realm_id="acme")])
    async with client(create_app(pool)) as api:
        page = await main_of(api)
        assert "Nothing ran in this window." in page
        assert f"The last run was at {long_ago:%Y-%m-%d %H:%M:%S}." in words(page)
        link = re.search(r'id="quiet".*?<a href="([^"]*)"', page, re.S)
        assert link is not None
        assert "loyalty" in (await api.get(f"/{html.unescape(link[1])}")).text
        page = words(await main_of(api, realm="acme"))
        assert "Nothing of realm acme ran in this window. The last run was at" in page
        page = words(await main_of(api, realm="typo"))
        assert "No run of realm typo is stored that you may see." in page
        assert "Without this filter" in page


async def test_a_strategy_that_never_ran_is_told_from_one_that_rests(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    long_ago = datetime.now(UTC) - 40 * DAY
    await repository.insert_rows([row(created_at=long_ago, realm_id="acme")])
    async with client(create_app(pool)) as api:
        page = words((await api.get("/strategy?id=loyalty")).text)
        assert f"loyalty did not run in this window. It ran last at {long_ago:%Y-%m-%d}" in page
        page = words((await api.get("/strategy?id=Loyalty")).text)
        assert "No run of Loyalty is stored that you may see." in page
    scope = Scope(realms=["globex"])
    async with client(create_app(pool, authorize=lambda request: scope)) as api:
        page = words((await api.get("/strategy?id=loyalty")).text)
        assert "No run of loyalty is stored that you may see." in page


async def test_a_last_run_at_the_end_of_the_calendar_has_no_link(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows([row(created_at=datetime.max.replace(tzinfo=UTC))])
    async with client(create_app(pool)) as api:
        for path in ("/", "/strategy?id=loyalty"):
            found = await api.get(path)
            assert "at 9999-12-31 23:59:59." in words(found.text)


async def test_a_scope_can_not_tell_what_is_hidden_from_what_is_not_there(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """A strategy that ran for others only, and one that never ran."""
    now = datetime.now(UTC)
    await repository.insert_rows(
        [
            row(strategy_id="secret", created_at=now - 2 * DAY, realm_id="globex"),
            row(strategy_id="mine", created_at=now - 2 * DAY, realm_id="acme"),
        ]
    )
    mine = Scope(realms=["acme"])
    app = create_app(pool, authorize=lambda request: mine)
    view = View("strategy", {}, {}, None, mine, now - DAY, now, now)
    async with app.state.reader.snapshot() as log:
        secret = await quiet_strategy(log, view, "secret")
        nothing = await quiet_strategy(log, view, "nothing")
        known = await quiet_strategy(log, view, "mine")
    assert (secret.known, secret.last, secret.link) == (False, None, None)
    assert (nothing.known, nothing.last, nothing.link) == (False, None, None)
    assert known.known is True
    assert known.last == now - 2 * DAY
    whole = View("strategy", {}, {}, None, Scope(), now - DAY, now, now)
    async with app.state.reader.snapshot() as log:
        assert (await quiet_strategy(log, whole, "secret")).last == now - 2 * DAY
    async with client(app) as api:
        assert "The last run was at" in words(await main_of(api))
        assert (await api.get("/", params={"realm": "globex"})).status_code == 403
        assert (await api.get("/", params={"realm": "typo"})).status_code == 403
    other = Scope(realms=["initech"])
    async with client(create_app(pool, authorize=lambda request: other)) as api:
        page = words(await main_of(api))
        assert "No run is stored that you may see." in page
        assert "last run" not in page


async def test_a_run_whose_row_was_removed_is_known(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    now = datetime.now(UTC)
    await repository.insert_rows([row(created_at=None)])
    view = View("strategy", {}, {}, None, Scope(), now - DAY, now, now)
    async with create_app(pool).state.reader.snapshot() as log:
        undated = await quiet_strategy(log, view, "loyalty")
    assert (undated.known, undated.last, undated.link) == (True, None, None)
