"""What the README shows works as it stands: its Python, its commands, what it says to Postgres."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from typer.main import get_command

import execlog
from execlog.cli import app, archive, rollup
from execlog.db.files import folder
from execlog.embedded.server import _find_binaries
from execlog.repository import statements
from tests.command import COMMAND
from tests.databases import TABLE
from tests.db.test_roles import prefix
from tests.readme import DOCUMENTS, README, TEXT, block, blocks, commands
from tests.rows import fields, row
from tests.types import Pool

__all__ = ["prefix"]

SHOWN = UUID("01a20e6b-ad16-7880-94f2-0cac6c91b00b")
# Of each block of Python something that only it holds, and which test runs it.
PYTHON = {
    "EmbeddedPostgres() as server": "here",
    "FastAPI(": "test_readme_services.py",
    "add_signal_handler": "test_readme_services.py",
    "worker_process_shutdown.connect": "test_programs_of_queues.py",
    "run.trace.append(entry": "test_programs_of_engines.py",
    "mask={": "here",
    "RecorderCollector(": "here",
    "before=page[-1]": "here",
    "after=page.place": "here",
    "both.delta": "here",
    "authorize=authorize": "here",
    "dump_migrations(": "test_alembic.py",
    "context.configure(": "test_alembic.py",
    "maintenance=execlog.Maintenance(": "here",
    "def evaluate(execution)": "here",
}
# Commands that a test of their own runs on data, and one that changes the machine.
ELSEWHERE = {
    "execlog demo --dsn postgresql://...": "db/test_cli.py",
    "execlog demo -n 200": "db/test_cli.py",
    "execlog otlp": "db/test_otlp.py",
    "execlog otlp --endpoint http://127.0.0.1:4318 --state /var/lib/execlog/otlp.json": (
        "db/test_otlp.py"
    ),
    "execlog otlp loyalty --realm acme --status failed --since 1h --once --no-metrics"
    " --endpoint http://127.0.0.1:4318": "db/test_otlp.py",
    "execlog serve": "web/test_serve.py",
    "execlog serve --port 8000": "web/test_serve.py",
    "execlog tail -f": "db/test_cli_reading.py",
    "execlog --install-completion": "nowhere: it writes into the home of who runs it",
}
ENDLESS = "execlog tail loyalty --status error -f"


def test_each_block_of_python_is_run() -> None:
    python = [one.text for one in blocks() if one.language == "python"]
    assert len(python) == len(PYTHON)
    for marker, where in PYTHON.items():
        assert block(marker) in python
        assert where == "here" or Path(__file__).with_name(where).exists()
    assert {one.language for one in blocks()} == {"python", "sh", "sql", "yaml", ""}


def test_the_first_example_runs() -> None:
    example = block("EmbeddedPostgres() as server")
    first = README[: README.index(example)].count("\n") + example.count("\n")
    assert first <= 30
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "error_code='TypeError'" in done.stdout and "input={'amount': 'many'}" in done.stdout
    assert "unsupported operand" in done.stdout
    assert "method='exact' sample_size=2" in done.stdout


def executions() -> list[execlog.StrategyExecutionLog]:
    """What the commands and examples ask for, of the last minutes."""
    now = datetime.now(UTC)
    found = [
        row(
            strategy_id=strategy,
            created_at=now - timedelta(seconds=10 * n + 5),
            realm_id="acme",
            external_user_id="u1",
            **({"status": "error", "error_code": "E42"} if n % 4 == 3 else {"points": 1.0}),
        )
        for strategy in ("loyalty", "loyalty-2", "module_quality")
        for n in range(60)
    ]
    return [*found, row(id=SHOWN, created_at=now - timedelta(minutes=1), trace=[{"node": "a"}])]


@pytest.fixture
async def filled(dsn: str, repository: execlog.StrategyExecutionLogRepository) -> str:
    await repository.insert_rows(executions())
    return dsn


async def run(code: str, scope: dict[str, Any]) -> Any:
    """What the code's last expression is; it may await, and leaves its names in the scope."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else ast.Expr(ast.Constant(None))
    assert isinstance(last, ast.Expr)
    found = None
    for part, mode in ((tree, "exec"), (ast.Expression(last.value), "eval")):
        found = eval(compile(ast.fix_missing_locations(part), "README.md", mode, flags), scope)
        found = await found if inspect.isawaitable(found) else found
    return found


@pytest.fixture
async def scope(filled: str, pool: Pool) -> AsyncIterator[dict[str, Any]]:
    """The names that the README's examples take for given."""
    now = datetime.now(UTC)
    async with (
        execlog.ExecutionRecorder(filled) as recorder,
        execlog.ExecutionRecorder(filled) as another,
    ):
        yield {
            "asyncpg": asyncpg,
            "dsn": filled,
            "execlog": execlog,
            "hashlib": hashlib,
            "log": execlog.StrategyExecutionLogRepository(pool),
            "pool": pool,
            "recorder": recorder,
            "another": another,
            "target": filled,
            "timedelta": timedelta,
            "today": now,
            "yesterday": now - timedelta(days=1),
        }


async def test_what_must_not_leave_the_process_is_masked(scope: dict[str, Any]) -> None:
    async with await run(block("mask={"), scope) as recorder:
        trace = [{"input": {"card": "4111", "sum": 3}}]
        stored = recorder.record(**fields(external_user_id="u9", trace=trace))
    found = await scope["log"].get(id=stored)
    assert found.external_user_id == hashlib.sha256(b"u9").hexdigest()
    assert found.trace == [{"input": {"sum": 3}}]


async def test_two_recorders_in_the_registry(scope: dict[str, Any]) -> None:
    registry = CollectorRegistry(auto_describe=True)
    await run(block("RecorderCollector("), {**scope, "REGISTRY": registry})
    lines = generate_latest(registry).decode().splitlines()
    alive = {line for line in lines if line.startswith("execlog_alive{")}
    assert alive == {f'execlog_alive{{log="{log}"}} 1.0' for log in ("scores", "audit")}


async def test_pages_of_failures_and_cards(scope: dict[str, Any]) -> None:
    scope["log"] = log = execlog.StrategyExecutionLogRepository(scope["pool"])
    await run(block("before=page[-1]"), scope)
    assert (len(scope["page"]), len(scope["next_page"])) == (15, 0)
    await run(block("after=page.place"), scope)
    assert (scope["page"].executions, scope["page"].has_more) == ([], False)
    await run(block("both.delta"), scope)
    assert scope["page"]["a"]["strategyId"] == "loyalty"
    assert sum(hour.total for hour in scope["hours"]) == 61
    assert len(scope["worst"]) == 3
    assert await log.count_by_status(strategy_id="loyalty-2") == {"ok": 45, "error": 15}


async def test_the_pages_in_the_engines_own_service(scope: dict[str, Any]) -> None:
    async def user_of(request: Any) -> SimpleNamespace | None:
        tenant = request.headers.get("x-tenant")
        return SimpleNamespace(tenants=[tenant], is_analyst=False) if tenant else None

    service = Starlette()
    await run(block("authorize=authorize"), {**scope, "app": service, "user_of": user_of})
    transport = httpx2.ASGITransport(app=service)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        url = "/runbook/api/strategies/loyalty/metrics"
        found = await client.get(url, headers={"x-tenant": "acme"})
        assert found.json()["statusBreakdown"]["total"] == 60
        assert (await client.get(url)).status_code == 403


async def test_a_recorder_that_maintains(scope: dict[str, Any]) -> None:
    recorder = await run(block("maintenance=execlog.Maintenance("), scope)
    assert isinstance(recorder, execlog.ExecutionRecorder)


async def test_a_candidate_that_is_replayed(
    scope: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(input={"amount": n}, points=2.0 * n, case_name=None) for n in range(60)]
    await scope["log"].insert_rows(rows)
    await run(block("def evaluate(execution)"), scope)
    assert (scope["found"].changed, scope["found"].not_replayable) == (9, {"no_input": 61})
    assert capsys.readouterr().out.splitlines()[1].startswith("None gold 9 [UUID(")


async def test_what_stands_between_the_blocks(scope: dict[str, Any]) -> None:
    """Calls of Python, and statements for Postgres, whose dots stand for what one likes."""
    text = re.sub(r"```.+?```", "", TEXT, flags=re.DOTALL)
    calls = re.findall(r"`((?:await |asyncpg\.create_pool|execlog\.dump)[^`]+)`", text)
    assert len(calls) >= 6
    for call in calls:
        found = await run(call.replace(", ...)", ")"), dict(scope))
        if isinstance(found, asyncpg.Pool):
            await found.close()
    [update] = re.findall(r"`(update execlog\.rollup_state set exact_runs = )\.\.\.`", text)
    [index] = re.findall(r"`(\(realm_id, created_at [^`]+)`", text)
    [role] = re.findall(r"`(alter role )\.\.\.( set jit = off)`", text)
    async with scope["pool"].acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"{update} 50000; create index on {TABLE} {index}")
        await connection.execute(f"{role[0]}current_user{role[1]}")
        await transaction.rollback()


def examples() -> list[str]:
    """The examples in the commands' own help."""
    groups = (archive.archive, rollup.rollup)
    found = [
        *app.registered_commands,
        *(one for group in groups for one in group.registered_commands),
    ]
    helps = (inspect.getdoc(command.callback) or "" for command in found)
    return [line for text in helps for line in re.findall(r"Example: (.+)", text)]


OTHERS = """
    create table public.strategyexecutionlog (
        id bigint primary key, "createdAt" timestamp, "strategyId" text, "strategyVersion" integer,
        "strategyType" text, status text, "durationMs" double precision, "nodesExecuted" integer,
        oauth_user_id text
    );
    insert into public.strategyexecutionlog values (1, now(), 'old', 1, 'DSL', 'ok', 1.5, 2, 'u');
    create table public.runs as select * from public.strategyexecutionlog;
    alter table public.runs add primary key (id), drop column oauth_user_id;
"""
"""The tables of other programs that the documents name."""


@pytest.fixture
async def beside_others(filled: str, pool: Pool) -> str:
    await pool.execute(OTHERS)
    return filled


@pytest.mark.long
def test_each_command(
    beside_others: str,
    empty_dsn: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of the README and of the help, in their order, on one log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXECLOG_DSN", beside_others)
    command = get_command(app)  # once: to make it takes longer than most answers
    psql = str(_find_binaries() / "psql")
    spool = tmp_path / "spool"
    spool.mkdir(0o700)
    (tmp_path / "rules").mkdir()
    for version in ("v4", "v5"):
        (tmp_path / "rules" / f"{version}.py").write_text("evaluate = dict\n")
    said = {
        "postgresql://...": beside_others,
        "/var/lib/scores/spool": str(spool),
        "FOLDER": str(spool),
        "/srv/scores": str(tmp_path / "scores"),
        "postgresql://coordinator/scoring": beside_others,
        "postgresql://other/db": beside_others,
        "ID": str(SHOWN),
        "0192f0c1-7d3e-7bbb-9a4e-8d1f2c3b4a5e": str(SHOWN),
        "0192f0c1-7d3e": str(SHOWN)[:13],
        "01a20d72-d4d3": str(SHOWN)[:13],
        "FILE": "loyalty.jsonl",
        "acme_reader": f"{prefix}_acme",
    }
    # Roles are the whole server's, and Citus is not there.
    more = {"roles": ["--prefix", prefix], "distribute": ["--sql"]}
    breached = {"check": 3, "replay --fail-over": 1}  # its runs have no input to be replayed
    shown = dict.fromkeys([*commands(), *examples()])
    assert {*ELSEWHERE, ENDLESS} < shown.keys()
    assert len(shown) > 45
    for line in (line for line in shown if line not in {*ELSEWHERE, ENDLESS}):
        line, _, file = line.partition(" > ")
        line, _, sink = line.partition(" | ")
        name, *words = [said.get(word, word) for word in shlex.split(line)[1:]]
        with pytest.raises(SystemExit) as ended:
            command([name, *words, *more.get(name, [])])
        out, error = capsys.readouterr()
        judged = f"{name} --fail-over" if "--fail-over" in words else name
        assert ended.value.code == breached.get(judged, 0), (line, error)
        assert out or error, line
        if file:
            Path(file).write_text(out)
        if sink:
            whose = empty_dsn if name == "migrate" else beside_others
            program = [psql, "-X", *shlex.split(sink.removeprefix("psql ")), whose]
            sent = subprocess.run(program, input=out, capture_output=True, text=True)
            assert (sent.returncode, sent.stderr) == (0, ""), line


async def test_the_command_that_goes_on(filled: str) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, *shlex.split(ENDLESS)[1:], stdout=PIPE, env={**os.environ, "EXECLOG_DSN": filled}
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(40):
            for what in (b"strategy\tstatus", b"\tloyalty\terror\t"):
                assert what in await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_every_statement_is_among_the_questions() -> None:
    questions = (folder("sql") / "README.md").read_text()
    linked = set(re.findall(r"\]\((\w+)\.sql\)", questions))
    assert linked == {path.stem for path in folder("sql").glob("*.sql")}
    assert statements().keys() <= set(re.findall(r"`(\w+)`", questions))


def test_the_readme_ends() -> None:
    assert README.count("\n") <= 200


def anchors(text: str) -> set[str]:
    """What may stand behind a # in a link."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.+?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_file_and_module_that_is_named_is_there() -> None:
    root = Path(__file__).parents[2]
    assert len(DOCUMENTS) > 8
    linked = {root / "README.md"}
    for document in DOCUMENTS:
        for path, anchor in re.findall(r"\]\(([\w/.]*)(?:#([\w-]+))?\)", document.read_text()):
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), (document.name, path)
            linked.add(target)
            if anchor:
                assert anchor in anchors(target.read_text()), (document.name, anchor)
    assert set(DOCUMENTS) <= linked
    modules = set(re.findall(r"python -m (tests[\w.]*)", TEXT))
    assert len(modules) > 5
    for module in modules:
        path = root / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
