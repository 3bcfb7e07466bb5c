"""`execlog check --webhook`: what fires is told once, and once more when it is over."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli.webhook import WebhookRefused, post
from tests.command import run
from tests.databases import TABLE
from tests.db.test_tls import certificate
from tests.receiver import Receiver, receiver
from tests.rows import row
from tests.types import Pool

MINUTE = timedelta(minutes=1)
LIMITS = ("--max-error-rate", "5%", "--max-silence", "10m", "--min-runs", "10")
LONG = pytest.mark.long


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture(params=[pytest.param("file", marks=LONG), "log"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Sequence[str]:
    """Where it is kept what fires."""
    return ("--state", str(tmp_path / "state.json")) if request.param == "file" else ()


def rows(name: str, count: int, failed: int, age: timedelta = MINUTE) -> list[StrategyExecutionLog]:
    at = datetime.now(UTC) - age
    return [
        row(
            strategy_id=name,
            created_at=at,
            status="error" if n < failed else "ok",
            error_code="E" if n < failed else None,
            external_user_id="someone's id",
        )
        for n in range(count)
    ]


def check(dsn: str, hook: Receiver, *words: str) -> tuple[int, str]:
    done = run("check", *words, "--webhook", EXECLOG_DSN=dsn, EXECLOG_WEBHOOK=hook.url)
    assert "secret-path" not in done.stdout + done.stderr
    return done.returncode, done.stderr


async def test_it_fires_once_and_is_over_once(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str]
) -> None:
    log = StrategyExecutionLogRepository(pool)
    words = ("loyalty", *LIMITS, *state)
    await log.insert_rows(rows("loyalty", 40, 4))
    assert [check(dsn, hook, *words)[0] for _ in range(3)] == [3, 3, 3]
    assert hook.texts == ["FIRING loyalty: error rate 10.00 %, limit 5.00 % (40 runs)"]
    await log.insert_rows(rows("loyalty", 400, 0))
    assert [check(dsn, hook, *words)[0] for _ in range(2)] == [0, 0]
    [fired, over] = hook.took
    assert over["text"].startswith("OVER loyalty: error rate 0.91 %, limit 5.00 %, after ")
    [one], [other] = fired["alerts"], over["alerts"]
    assert (one["id"], one["since"], one["state"]) == (other["id"], other["since"], "firing")
    assert (one["breach"], one["value"], one["limit"], one["runs"]) == ("error_rate", 0.1, 0.05, 40)
    assert (fired["firing"], over["firing"], over["check"]) == (1, 0, "loyalty")
    assert "someone" not in json.dumps(hook.took)
    await log.insert_rows(rows("loyalty", 400, 200))
    check(dsn, hook, *words)
    assert hook.took[2]["alerts"][0]["id"] != one["id"]


async def test_each_limit_of_each_strategy_is_an_alert(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str]
) -> None:
    log = StrategyExecutionLogRepository(pool)
    words = ("--each", *LIMITS, *state)
    await log.insert_rows([*rows("bad", 20, 10), *rows("late", 20, 20, 12 * MINUTE)])
    await log.insert_rows([*rows("<!channel> & co", 20, 5), *rows("few", 5, 5), *rows("ok", 20, 0)])
    assert check(dsn, hook, *words)[0] == 3
    found = {(one["strategyId"], one["breach"]) for one in hook.took[0]["alerts"]}
    assert found == {
        ("bad", "error_rate"),
        ("late", "error_rate"),
        ("late", "silence"),
        ("<!channel> & co", "error_rate"),
    }
    assert any("&lt;!channel&gt; &amp; co" in line for line in hook.texts)
    # Its runs leave the window, and it is silent: there is no verdict on its rate any more.
    await pool.execute(f"update {TABLE} set created_at = created_at - interval '20 minutes'")
    await log.insert_rows(rows("ok", 20, 0))
    for _ in range(2):
        check(dsn, hook, *words)
    assert {one["strategyId"] for one in hook.took[1]["alerts"]} == {
        "bad",
        "<!channel> & co",
        "few",
    }
    assert {one["breach"] for one in hook.took[1]["alerts"]} == {"silence"}
    assert len(hook.took) == 2
    await log.insert_rows([*rows("late", 20, 0), *rows("bad", 20, 10)])
    check(dsn, hook, *words)
    over = {(one["strategyId"], one["breach"]) for one in hook.took[2]["alerts"]}
    assert over == {("late", "error_rate"), ("late", "silence"), ("bad", "silence")}
    assert {one["state"] for one in hook.took[2]["alerts"]} == {"over"}


async def test_checks_at_once_tell_once(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str]
) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    words = ("--each", *LIMITS, *state)
    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(lambda _: check(dsn, hook, *words)[0], range(4)))
    assert codes == [3] * 4
    assert (len(hook.took), hook.saw) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [500, *(pytest.param(one, marks=LONG) for one in (404, 302, "hang up")), "take and hang up"],
)
async def test_a_dead_webhook_is_told_later(
    dsn: str, pool: Pool, hook: Receiver, answer: int | str, tmp_path: Path
) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    words = ("loyalty", *LIMITS, *(("--state", str(tmp_path / "s")) if answer == 500 else ()))
    hook.answers = [answer, answer]
    for _ in range(2):
        code, said = check(dsn, hook, *words)
        assert (code, said.count("\n")) == (1, 1)
        assert said.startswith("execlog: the webhook did not take the alerts: ")
        why = f"HTTP {answer}" if isinstance(answer, int) else "it hung up without an answer"
        assert said.endswith(f": {why}\n")
    assert check(dsn, hook, *words)[0] == 3
    assert check(dsn, hook, *words)[0] == 3
    taken = [one["alerts"][0] for one in hook.took]
    # Only a receiver that has taken it and did not say so has it twice, with one id.
    assert len(taken) == (3 if answer == "take and hang up" else 1)
    assert len({(one["id"], one["since"]) for one in taken}) == 1


async def test_what_is_over_before_it_was_told_is_not_told(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str]
) -> None:
    log = StrategyExecutionLogRepository(pool)
    await log.insert_rows(rows("loyalty", 40, 4))
    hook.answers = [503]
    assert check(dsn, hook, "loyalty", *LIMITS, *state)[0] == 1
    await log.insert_rows(rows("loyalty", 400, 0))
    assert check(dsn, hook, "loyalty", *LIMITS, *state) == (0, "")
    assert hook.took == []


async def test_what_may_have_been_taken_is_told_again(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path
) -> None:
    """A receiver that took a message without an answer must learn what is so after it."""
    log = StrategyExecutionLogRepository(pool)
    hook.answers = ["take and hang up", 503, "take and hang up"]
    state = ("--state", str(tmp_path / "state"))
    codes = []
    for count, failed in ((40, 4), (400, 0), (0, 0), (400, 200), (0, 0)):
        await log.insert_rows(rows("loyalty", count, failed))
        codes.append(check(dsn, hook, "loyalty", *LIMITS, *state)[0])
    assert codes == [1, 1, 1, 3, 3]
    alerts = [one["alerts"][0] for one in hook.took]
    assert [one["state"] for one in alerts] == ["firing", "over", "firing"]
    assert len({one["id"] for one in alerts}) == 1


async def test_no_receiver_at_all(dsn: str, pool: Pool) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/secret-path"
    done = run("check", *LIMITS, "--webhook", EXECLOG_DSN=dsn, EXECLOG_WEBHOOK=url)
    said = "execlog: the webhook did not take the alerts: Connection refused\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes certificates")
async def test_the_name_of_a_receiver_without_a_certificate_is_not_said(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, tmp_path / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patched:

        def shaking_hands() -> None:
            with suppress(OSError), server.accept()[0] as accepted:
                context.wrap_socket(accepted, server_side=True).close()

        patched.setenv("SSL_CERT_FILE", str(made))
        serving = threading.Thread(target=shaking_hands)
        serving.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/secret-path"
        with pytest.raises(WebhookRefused, match=r": its certificate is not valid$"):
            await post(url, {})
        serving.join()


async def test_a_receiver_without_tls_is_said(hook: Receiver) -> None:
    with pytest.raises(WebhookRefused, match=r": it does not answer by TLS$"):
        await post(hook.url.replace("http:", "https:"), {})


@LONG
async def test_a_receiver_that_does_not_answer(dsn: str, pool: Pool, hook: Receiver) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    hook.answers = ["hang"]
    code, said = check(dsn, hook, "loyalty", *LIMITS)
    assert (code, "no answer in 10 s" in said) == (1, True)
    assert check(dsn, hook, "loyalty", *LIMITS)[0] == 3
    assert len(hook.took) == 1


@LONG
async def test_a_receiver_that_is_killed_and_started_again(
    dsn: str, pool: Pool, state: Sequence[str]
) -> None:
    log = StrategyExecutionLogRepository(pool)
    words = ("loyalty", *LIMITS, *state)
    with receiver() as first:
        await log.insert_rows(rows("loyalty", 40, 4))
        assert check(dsn, first, *words)[0] == 3
    await log.insert_rows(rows("loyalty", 400, 0))
    assert [check(dsn, first, *words)[0] for _ in range(2)] == [1, 1]
    with receiver(first.server.server_port) as again:
        assert [check(dsn, again, *words)[0] for _ in range(2)] == [0, 0]
    [fired], [over] = first.took, again.took
    assert over["alerts"][0]["id"] == fired["alerts"][0]["id"]
    assert (fired["firing"], over["firing"]) == (1, 0)


def fires_since(file: Path, since: str) -> None:
    kept = json.loads(file.read_text())
    [firing] = next(iter(kept.values()))
    firing["since"] = since
    file.write_text(json.dumps(kept))


def kept_in(file: Path, kept: dict[str, object]) -> None:
    assert json.loads(file.read_text()) == kept
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("moved", "least"),
    [
        (timedelta(days=1), 0),
        pytest.param(-timedelta(days=1), 24 * 3600, marks=LONG),
    ],
)
async def test_a_clock_that_was_set(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str], moved: timedelta, least: int
) -> None:
    """What fires since tomorrow is over after no time at all; it is told once, either way."""
    log = StrategyExecutionLogRepository(pool)
    await log.insert_rows(rows("loyalty", 40, 4))
    words = ("loyalty", *LIMITS, *state)
    check(dsn, hook, *words)
    since = (datetime.now(UTC) + moved).isoformat()
    if state:
        fires_since(Path(state[1]), since)
    else:
        await pool.execute(
            "update execlog.alert_state"
            " set firing = jsonb_set(firing, '{0,since}', to_jsonb($1::text))",
            since,
        )
    assert check(dsn, hook, *words)[0] == 3
    await log.insert_rows(rows("loyalty", 400, 0))
    assert [check(dsn, hook, *words)[0] for _ in range(2)] == [0, 0]
    first, second = (one["alerts"][0]["seconds"] for one in hook.took)
    assert first == 0
    assert least <= second <= least + 600
    if state:
        kept_in(Path(state[1]), {})
    else:
        assert await pool.fetchval("select count(*) from execlog.alert_state") == 0


async def test_other_limits_are_another_check(
    dsn: str, pool: Pool, hook: Receiver, state: Sequence[str]
) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    for limit in ("1%", "5%", "20%", "1%"):
        check(dsn, hook, "loyalty", "--max-error-rate", limit, *state)
    assert len(hook.took) == 2


async def test_all_were_silent_and_one_runs_again(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path
) -> None:
    """Of all at once no number of runs is known."""
    words = ("--each", *LIMITS, "--state", str(tmp_path / "state"))
    check(dsn, hook, *words)
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 20, 0))
    check(dsn, hook, *words)
    fired, over = hook.texts
    assert fired == "FIRING all strategies: nothing ran for 10m"
    assert re.fullmatch(r"OVER all strategies: it runs again, after \d+s", over)


@LONG
async def test_more_that_fire_than_are_asked_for(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path
) -> None:
    """Strategies that are gone fire on; one that is well, and not among the worst, is over."""
    log, file = StrategyExecutionLogRepository(pool), tmp_path / "state"
    words = ("--each", "--max-error-rate", "5%", "--state", str(file))
    await log.insert_rows(rows("well", 10, 10))
    check(dsn, hook, *words)
    [(name, [firing])] = json.loads(file.read_text()).items()
    gone = [{**firing, "strategyId": f"gone {n}"} for n in range(150)]
    file.write_text(json.dumps({name: [firing, *gone]}))
    await log.insert_rows(rows("well", 990, 0))
    for n in range(50):
        await log.insert_rows(rows(f"bad {n}", 10, 5))
    for _ in range(15):  # each time by a chance of 100 to 151
        check(dsn, hook, *words)
        told = [one for message in hook.took for one in message["alerts"]]
        if ("well", "over") in {(one["strategyId"], one["state"]) for one in told}:
            return
    raise AssertionError("it was never asked for")


async def test_a_window_that_begins_at_a_time_is_one_check(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path
) -> None:
    """Its length is another one at each check."""
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    state = ("--state", str(tmp_path / "state"))
    for age in (60, 50):
        since = (datetime.now(UTC) - age * MINUTE).isoformat()
        assert check(dsn, hook, "loyalty", *LIMITS, *state, "--since", since)[0] == 3
    assert len(hook.took) == 1
    for since in ("900s", "1h"):
        check(dsn, hook, "loyalty", *LIMITS, *state, "--since", since)
    assert len(hook.took) == 3
    check(dsn, hook, "loyalty", *LIMITS, *state)
    assert len(hook.took) == 3


async def test_a_state_that_another_holds_ends_with_it(
    dsn: str, pool: Pool, hook: Receiver
) -> None:
    """A process that died in the middle of a check holds its state for two minutes at most."""
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    check(dsn, hook, "loyalty", *LIMITS)
    await pool.execute(
        "update execlog.alert_state set holder = gen_random_uuid(),"
        " held_until = now() + interval '1 second'"
    )
    assert check(dsn, hook, "loyalty", *LIMITS)[0] == 3
    assert len(hook.took) == 1
    assert await pool.fetchval("select count(*) from execlog.alert_state where holder is null") == 1


async def test_the_clock_of_a_server_is_set_back_after_a_process_died(
    dsn: str, pool: Pool, hook: Receiver
) -> None:
    """What it held would be held for as long as the clock was set back."""
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    check(dsn, hook, "loyalty", *LIMITS)
    await pool.execute(
        "update execlog.alert_state set holder = gen_random_uuid(),"
        " held_until = now() + interval '1 hour'"
    )
    assert check(dsn, hook, "loyalty", *LIMITS) == (3, "")
    assert len(hook.took) == 1


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ("{", "--state: the file holds no state of alerts"),
        ('{"a": [{"strategyId": 1}]}', "--state: the file holds no state of alerts"),
        (None, "--state: No such file or directory"),
    ],
)
async def test_a_state_that_can_not_be_read(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path, kept: str | None, says: str
) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows("loyalty", 40, 4))
    file = tmp_path / "state" if kept else tmp_path / "no" / "state"
    if kept is not None:
        file.write_text(kept)
    code, said = check(dsn, hook, "loyalty", *LIMITS, "--state", str(file))
    assert (code, said) == (1, f"execlog: {says}\n")
    assert hook.took == []
    assert kept is None or file.read_text() == kept


@pytest.mark.parametrize(
    "other",
    [
        {"since": "2026-01-01T00:00:00"},
        pytest.param({"breach": "p50"}, marks=LONG),
        pytest.param({"strategyId": ""}, marks=LONG),
        pytest.param({"strategyId": "\0"}, marks=LONG),
    ],
)
async def test_a_state_of_another_form_is_an_error_of_one_line(
    dsn: str, pool: Pool, hook: Receiver, tmp_path: Path, other: dict[str, str]
) -> None:
    """By another version, or by hand. A NUL is nothing that the log could hold."""
    log, file = StrategyExecutionLogRepository(pool), tmp_path / "state"
    await log.insert_rows(rows("loyalty", 40, 4))
    check(dsn, hook, "loyalty", *LIMITS, "--state", str(file))
    [(name, [firing])] = json.loads(file.read_text()).items()
    file.write_text(json.dumps({name: [{**firing, **other}]}))
    said = (1, "execlog: --state: the file holds no state of alerts\n")
    assert check(dsn, hook, "loyalty", *LIMITS, "--state", str(file)) == said
    if "\0" in other.values():
        return
    check(dsn, hook, "loyalty", *LIMITS)
    changed = json.dumps([{**firing, **other}])
    await pool.execute("update execlog.alert_state set firing = $1::text::jsonb", changed)
    said = (1, "execlog: the log holds what is no state of alerts\n")
    assert check(dsn, hook, "loyalty", *LIMITS) == said


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "ftp://host/x",
        "http://",
        "http://h:x/",
        "http://h/ x",
        "http://a:secret@h/",
        "http://a..b/",
    ],
)
def test_a_url_is_needed(dsn: str, url: str) -> None:
    done = run("check", *LIMITS, "--webhook", EXECLOG_DSN=dsn, EXECLOG_WEBHOOK=url)
    assert (done.returncode, "needs a URL in EXECLOG_WEBHOOK" in done.stderr) == (2, True)
    assert "a:secret" not in done.stderr
    done = run("check", *LIMITS, "--state", "x", EXECLOG_DSN=dsn)
    assert (done.returncode, "is for --webhook" in done.stderr) == (2, True)
