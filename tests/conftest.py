"""Fixtures: a real server, a clone of a migrated database for each test, a pool on it.

With `EXECLOG_TEST_POOLER=1` all of it goes through a PgBouncer in transaction mode, but for the
tests that are marked `session`. Those that are marked `long` run with `EXECLOG_TEST_LONG=1` only.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import settings

from execlog import StrategyExecutionLogRepository
from execlog.db import files, migration_files
from tests import databases, pooler, server
from tests.oracle import EXAMPLES
from tests.types import Pool

# A shell's background jobs ignore it, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("own", max_examples=10 * EXAMPLES)
settings.load_profile("own")
_served = pytest.StashKey[str]()
_LONG, _POOLED = (bool(os.environ.get(f"EXECLOG_TEST_{name}")) for name in ("LONG", "POOLER"))
if _POOLED:  # as whoever has a pooler makes connections
    for name in ("connect", "create_pool"):
        wanted = functools.partial(getattr(asyncpg, name), statement_cache_size=0)
        setattr(asyncpg, name, wanted)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[server.Server]:
    """The throwaway server; without one each test fails, and says why there is none."""
    try:
        with server.started() as found:
            request.config.stash[_served] = found.kind
            yield found
    except server.Unavailable as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
async def template(postgres: server.Server, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of the server, whose migrated template is ready to be cloned."""
    connection = await asyncpg.connect(postgres.dsn)
    version = await connection.fetchval("show server_version")
    await connection.close()
    request.config.stash[_served] = f"{postgres.kind}, Postgres {version}"
    async with databases.template(postgres.dsn):
        yield postgres.dsn


@pytest.fixture(scope="session")
def pooled(postgres: server.Server) -> Iterator[pooler.Pooler]:
    """A PgBouncer before the server."""
    try:
        with pooler.started(postgres.dsn) as found:
            yield found
    except pooler.Absent as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def dsn(template: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A migrated database of this test alone."""
    async with databases.clone(template) as own:
        yield request.getfixturevalue("pooled").dsn(own) if _POOLED else own


@pytest.fixture
async def empty_dsn(template: str) -> AsyncIterator[str]:
    """A database without any migration."""
    async with databases.clone(template, template="template0") as own:
        yield own


@pytest.fixture(scope="module")
async def shared_dsn(template: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A migrated database of a module, for tests that don't mind what others leave there."""
    async with databases.clone(template) as own:
        yield request.getfixturevalue("pooled").dsn(own) if _POOLED else own


@pytest.fixture
async def shared_pool(shared_dsn: str) -> AsyncIterator[Pool]:
    """A pool of this test's own on the module's database."""
    async with asyncpg.create_pool(shared_dsn, min_size=1, max_size=4) as own:
        yield own


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on this test's database."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as own:
        yield own


@pytest.fixture
async def repository(pool: Pool) -> StrategyExecutionLogRepository:
    """The repository on this test's database."""
    return StrategyExecutionLogRepository(pool)


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of migrations of this test's own, the packaged ones in it."""
    own = tmp_path / "migrations"
    own.mkdir()
    packaged = files.folder
    for path in packaged("migrations").glob("*.sql"):
        (own / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(
        migration_files, "folder", lambda name: own if name == "migrations" else packaged(name)
    )
    return own


@pytest.fixture
def later(migrations: Path) -> Callable[[], list[str]]:
    """Only migrations of the first wave are there until this is called: it names the others."""
    taken = {path: path.read_text() for path in migrations.glob("*.sql") if path.name >= "0004"}
    for path in taken:
        path.unlink()

    def given_back() -> list[str]:
        for path, text in taken.items():
            path.write_text(text)
        return sorted(path.stem for path in taken)

    return given_back


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _POOLED and item.get_closest_marker("session"):
        pytest.skip("sets something for its session, which a pooler shares")
    if not _LONG and item.get_closest_marker("long"):
        pytest.skip("long; EXECLOG_TEST_LONG=1 runs it")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the run which server it had."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["served"] = session.config.stash.get(_served, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker has ended."""
    if served := getattr(node, "workeroutput", {}).get("served"):
        node.config.stash[_served] = served


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    served = terminalreporter.config.stash.get(_served, "no server: no test asked for one")
    left_out = Counter(
        (report.nodeid.partition("::")[0], str(report.longrepr[2]))
        for report in terminalreporter.stats.get("skipped", [])
    )
    for (name, reason), count in sorted(left_out.items()):
        said = f"not run: {count} of {name} ({reason.removeprefix('Skipped: ')})"
        terminalreporter.write_line(said)
    terminalreporter.write_line(f"execlog was tested on: {served}")
