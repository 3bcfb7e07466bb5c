"""Executions as OTLP has them, where they are sent, and what a receiver's answers mean."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from execlog import InvalidArgument, StrategyExecutionLog
from execlog.cli import sending
from execlog.cli.state_file import StateUnavailable
from execlog.otel import (
    Delivered,
    Delivery,
    Durations,
    Included,
    Receiver,
    ReceiverAway,
    ReceiverRefused,
    Temporality,
    endpoint,
    resource_attributes,
)
from execlog.otel.durations import BOUNDS
from execlog.otel.records import log_record, logs_request
from tests.extras import needs
from tests.otlp_receiver import OtlpReceiver, otlp_receiver, values
from tests.readme import TEXT, block
from tests.recording import until
from tests.rows import T0, row

TRACE = UUID("0af7651916cd43dd8448eb211c80319c")
SECRETS = {
    "external_user_id": "s3cret-user",
    "input": {"card": "s3cret-input"},
    "trace": [{"node": "s3cret-trace"}],
    "attributes": {"plan": "s3cret-attribute", "n": 3, "big": 2**70, "yes": True, "x": 0.5},
    "error_message": "s3cret-message",
    "notes": "s3cret-notes",
}
SENDER = {"service.name": "execlog"}
JSON = b"Content-Type: application/json"


@pytest.fixture
def taking() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "HEADERS", "LOGS_ENDPOINT", "COMPRESSION"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def one(**changes: Any) -> StrategyExecutionLog:
    return row(created_at=T0, stored_at=T0 + timedelta(seconds=2), **changes)


def test_a_record_has_what_the_row_has() -> None:
    made = one(
        realm_id="acme",
        status="error",
        error_code="E1",
        case_name="gold",
        points=2.5,
        external_game_id="g",
        external_task_id="t",
        parent_strategy_id="base",
        trace_id=TRACE,
        sample_rate=0.5,
    )
    record = log_record(made, Included())
    assert record.trace_id == TRACE.bytes
    assert record.time_unix_nano == int(T0.timestamp()) * 10**9
    assert record.observed_time_unix_nano == record.time_unix_nano + 2 * 10**9
    assert (record.severity_number, record.severity_text) == (
        SeverityNumber.SEVERITY_NUMBER_ERROR,
        "ERROR",
    )
    assert (record.event_name, record.body.string_value) == (
        "execlog.execution",
        "loyalty 3: error",
    )
    assert values(record.attributes) == {
        "execlog.id": str(made.id),
        "execlog.strategy.id": "loyalty",
        "execlog.strategy.version": 3,
        "execlog.strategy.type": "DSL_FULL",
        "execlog.strategy.parent_id": "base",
        "execlog.realm.id": "acme",
        "execlog.game.id": "g",
        "execlog.task.id": "t",
        "execlog.status": "error",
        "execlog.error_code": "E1",
        "error.type": "E1",
        "execlog.case.name": "gold",
        "execlog.points": 2.5,
        "execlog.nodes": 4,
        "execlog.duration_ms": 1.5,
        "execlog.sample_rate": 0.5,
    }


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("ok", None, None),
        ("ok", "E1", None),
        ("not_matched", "E1", None),
        ("skipped", None, None),
        ("error", None, "error"),
        ("timeout", None, "timeout"),
        ("limit", "MAX_NODES", "MAX_NODES"),
    ],
)
def test_only_errors_have_a_type(status: str, code: str | None, kind: str | None) -> None:
    record = log_record(one(status=status, error_code=code), Included())
    found = values(record.attributes)
    assert found.get("error.type") == kind
    assert (record.severity_text == "ERROR") == (kind is not None)
    assert found.get("execlog.error_code") == code


def test_what_may_be_personal_is_sent_only_if_it_is_asked_for() -> None:
    made = [one(**SECRETS, status="error")]
    assert b"s3cret" not in logs_request(made, SENDER, Included()).SerializeToString()
    asked = log_record(made[0], Included(attributes=True, error_messages=True, users=True))
    found = values(asked.attributes)
    assert found["execlog.user.id"] == "s3cret-user"
    assert found["execlog.error_message"] == "s3cret-message"
    assert {key: found[key] for key in found if key.startswith("execlog.attributes.")} == {
        "execlog.attributes.plan": "s3cret-attribute",
        "execlog.attributes.n": 3,
        "execlog.attributes.big": str(2**70),
        "execlog.attributes.yes": True,
        "execlog.attributes.x": 0.5,
    }
    whole = asked.SerializeToString()
    assert all(word not in whole for word in (b"s3cret-input", b"s3cret-trace", b"s3cret-notes"))


@pytest.mark.parametrize("year", [1, 1969, 2555, 9999])
def test_a_time_that_otlp_can_not_tell_is_unknown_and_told_as_text(year: int) -> None:
    time = datetime(year, 5, 1, tzinfo=UTC)
    record = log_record(row(created_at=time), Included())
    assert record.time_unix_nano == 0 < record.observed_time_unix_nano
    assert values(record.attributes)["execlog.created_at"] == time.isoformat()
    undated = log_record(row(created_at=None), Included())
    assert undated.time_unix_nano == 0
    assert "execlog.created_at" not in values(undated.attributes)


def test_bounds_are_included() -> None:
    rows = [one(duration_ms=bound * 1000) for bound in BOUNDS] + [one(duration_ms=10_001.0)]
    [metric] = Durations().request(rows, SENDER).resource_metrics[0].scope_metrics[0].metrics
    [point] = metric.histogram.data_points
    assert (metric.name, metric.unit) == ("execlog.execution.duration", "s")
    assert list(point.bucket_counts) == [1] * (len(BOUNDS) + 1)
    assert (point.min, point.max) == (0.005, 10.001)
    assert list(point.explicit_bounds) == list(BOUNDS)


@pytest.mark.parametrize("temporality", Temporality)
def test_histograms_count_each_row_once(temporality: Temporality) -> None:
    durations, total = Durations(temporality), 0
    ends = []
    for batch in (2, 3, 4):
        rows = [one(duration_ms=1000.0, trace_id=TRACE) for _ in range(batch)]
        rows.append(one(status=f"odd {batch}"))
        sent = durations.request(rows, SENDER).resource_metrics[0].scope_metrics[0].metrics[0]
        found = {
            values(each.attributes)["execlog.status"]: each for each in sent.histogram.data_points
        }
        total = batch + (total if temporality is Temporality.cumulative else 0)
        assert {status: each.count for status, each in found.items()} == {
            "ok": total,
            f"odd {batch}": 1,
        }
        assert found["ok"].sum == total
        [exemplar] = found["ok"].exemplars
        assert (exemplar.trace_id, exemplar.as_double) == (TRACE.bytes, 1.0)
        assert values(exemplar.filtered_attributes) == {"execlog.id": str(rows[-2].id)}
        ends.append((found["ok"].start_time_unix_nano, found["ok"].time_unix_nano))
    begins = [begin for begin, _ in ends]
    if temporality is Temporality.delta:
        assert begins[1:] == [end for _, end in ends[:-1]]
    else:
        assert len(set(begins)) == 1


def test_cumulative_histograms_are_bounded_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execlog.otel.durations._MOST_SERIES", 3)
    durations = Durations(Temporality.cumulative)
    rows = [one(strategy_id=f"s{n}") for n in range(10)]
    durations.request(rows, SENDER)
    assert durations.repeated(SENDER) is None
    monkeypatch.setattr("execlog.otel.durations._REPEATED_NS", 0)
    again = durations.repeated(SENDER)
    assert again is not None
    [metric] = again.resource_metrics[0].scope_metrics[0].metrics
    points = metric.histogram.data_points
    assert len(points) == 4
    assert sum(point.count for point in points) == 10
    [others] = [
        each for each in points if values(each.attributes) == {"otel.metric.overflow": True}
    ]
    assert others.count == 7
    assert Durations().repeated(SENDER) is None


def test_where_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    given = endpoint("logs", "http://user:s3cret@host:4318/otlp/?key=s3cret")
    assert given.url == "http://user:s3cret@host:4318/otlp/v1/logs?key=s3cret"
    assert given.name == "http://host:4318/otlp/v1/logs"
    assert "s3cret" not in repr(given)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://base:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://own:1/x")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, other=c")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    assert endpoint("logs").url == "https://own:1/x"
    assert endpoint("metrics").url == "https://base:1/v1/metrics"
    assert endpoint("metrics").headers == {"api-key": "a b", "other": "c"}
    assert not endpoint("metrics").is_compressed
    assert "a b" not in repr(endpoint("metrics"))


@pytest.mark.parametrize(
    "url", ["", "host:4318", "ftp://host", "http://", "http://h:x", "http://é", "http://a..b"]
)
def test_a_wrong_url_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match=r"^endpoint: must be a URL"):
        endpoint("logs", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    with pytest.raises(InvalidArgument, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL"):
        endpoint("logs")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADERS", "s3cret"),
        ("HEADERS", "key=s3cret%0a"),
        ("HEADERS", "key=s3cret%20"),
        ("HEADERS", "a key=s3cret"),
        ("HEADERS", "Content-Length=5"),
        ("HEADERS", "key=\udcffs3cret"),
        ("COMPRESSION", "s3cret"),
        ("CERTIFICATE", "/nowhere/s3cret"),
        ("CLIENT_CERTIFICATE", "/nowhere/s3cret"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    with pytest.raises(InvalidArgument) as caught:
        endpoint("logs", "http://host")
    assert caught.value.argument == f"OTEL_EXPORTER_OTLP_{name}"
    assert "s3cret" not in str(caught.value)


def test_the_sender_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.name=x")
    assert resource_attributes("scores") == {
        "deployment.environment": "prod",
        "service.name": "scores",
    }
    assert resource_attributes()["service.name"] == "x"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "")
    assert resource_attributes() == {"service.name": "execlog"}


def test_a_name_that_is_not_of_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match=r"^service_name: is not of UTF-8"):
        resource_attributes("\udcff")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=\udcff")
    with pytest.raises(InvalidArgument, match=r"^OTEL_RESOURCE_ATTRIBUTES: is not of UTF-8"):
        resource_attributes()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes certificates")
def test_the_password_of_a_key_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "openssl req -x509 -newkey rsa:1024 -subj /CN=x -passout pass:s3cret".split()
    files = {"keyout": tmp_path / "key.pem", "out": tmp_path / "certificate.pem"}
    words = [str(word) for name, path in files.items() for word in (f"-{name}", path)]
    subprocess.run([*command, *words], check=True, capture_output=True)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(files["out"]))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(files["keyout"]))
    with pytest.raises(InvalidArgument, match="the key has a password"):
        endpoint("logs", "http://host")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")
    with pytest.raises(InvalidArgument, match=r"^OTEL_EXPORTER_OTLP_CERTIFICATE"):
        endpoint("logs", "http://host")


def answer(body: bytes, header: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer."""
    return b"HTTP/1.0 %b\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (status, header, len(body), body)


def short(answer: object) -> str:
    return repr(answer)[-50:]


async def delivered(
    taking: OtlpReceiver, rows: list[StrategyExecutionLog], *, told: list[str], **more: Any
) -> Delivered:
    """What is delivered, with delays that a test has time for."""
    where = {"logs": endpoint("logs", taking.url), "metrics": endpoint("metrics", taking.url)}
    async with Receiver(where, seconds=more.pop("seconds", 10.0)) as receiver:  # type: ignore[arg-type]
        return await Delivery(
            receiver, SENDER, told=told.append, durations=Durations(), **more
        ).deliver(rows)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execlog.otel.delivery._FIRST_SECONDS", 0.02)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "answer",
    [
        *(429, 502, 503, 504, "hang up", "take and hang up", (503, {"Retry-After": "0.1"})),
        answer(b"no gzip", b"Content-Encoding: gzip", b"503 Busy"),
    ],
    ids=short,
)
async def test_a_busy_receiver_is_tried_again(taking: OtlpReceiver, answer: Any) -> None:
    rows, told = [one() for _ in range(3)], list[str]()
    taking.answers = [answer, answer]
    assert await delivered(taking, rows, told=told) == Delivered()
    assert set(taking.ids) == {str(each.id) for each in rows}
    assert len(taking.ids) == (9 if answer == "take and hang up" else 3)
    assert sum(point.count for point in taking.points) == 3
    assert len(told) == 2 and told[0].endswith("; trying again")
    assert f"127.0.0.1:{taking.port}/v1/logs" in told[0]


async def test_it_waits_as_long_as_it_is_told(taking: OtlpReceiver) -> None:
    taking.answers = [(503, {"Retry-After": "30"})]
    with pytest.raises(ReceiverAway, match="HTTP 503"):
        await delivered(taking, [one()], told=[], patience=29.0)
    assert len(taking.bodies) == 1


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "answer",
    [
        *(400, 401, 404, 500, 302, "page"),
        answer(b"[" * 5000, JSON),
        answer(b'{"partialSuccess": {"rejectedLogRecords": 1e999}}', JSON),
        answer(b" <!doctype html>", b"Content-Type: text/plain"),
        answer(b"no gzip", b"Content-Encoding: gzip"),
    ],
    ids=short,
)
async def test_what_is_refused_for_ever_is_not_tried_again(
    taking: OtlpReceiver, answer: Any
) -> None:
    taking.answers = [answer]
    with pytest.raises(ReceiverRefused) as caught:
        await delivered(taking, [one()], told=[])
    assert len(taking.bodies) == 1
    assert str(caught.value).startswith(f"http://127.0.0.1:{taking.port}/v1/logs answers")


async def test_what_is_too_large_is_sent_in_halves(taking: OtlpReceiver) -> None:
    rows = [one() for _ in range(11)]
    taking.largest = 3
    assert await delivered(taking, rows, told=[]) == Delivered()
    assert taking.ids == [str(each.id) for each in rows]
    taking.largest = 0
    with pytest.raises(ReceiverRefused, match="413"):
        await delivered(taking, rows, told=[])


async def test_what_a_receiver_leaves_out_is_counted(taking: OtlpReceiver) -> None:
    taking.rejects = 2
    assert await delivered(taking, [one(), one()], told=[]) == Delivered(2, 2)
    taking.rejects = -2
    assert await delivered(taking, [one(), one()], told=[]) == Delivered()


@pytest.mark.usefixtures("soon")
async def test_a_receiver_that_hangs_or_is_gone_is_away(taking: OtlpReceiver) -> None:
    told: list[str] = []
    taking.answers = ["hang"]
    await delivered(taking, [one()], told=told, seconds=0.3)
    assert told[0].endswith("did not answer in 0.3 s; trying again")
    assert len(taking.ids) == 1
    taking.stop()
    with pytest.raises(ReceiverAway, match=r"can't be reached"):
        await delivered(taking, [one()], told=told, patience=0.05)


async def test_a_receiver_without_tls_is_said(taking: OtlpReceiver) -> None:
    where = {"logs": endpoint("logs", taking.url.replace("http:", "https:"))}
    async with Receiver(where) as receiver:  # type: ignore[arg-type]
        with pytest.raises(ReceiverAway, match="does not answer by TLS"):
            await receiver.post("logs", logs_request([one()], SENDER, Included()))


async def test_requests_are_those_of_an_exporter(
    taking: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=s3cret,Content-Type=text/plain")
    for compression in ("gzip", "none"):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
        await delivered(taking, [one()], told=[])
    sent = [{name.lower(): value for name, value in one.items()} for one in taking.headers]
    assert [one.get("content-encoding") for one in sent] == ["gzip", "gzip", None, None]
    for lower in sent:
        assert lower["x-key"] == "s3cret"
        assert lower["content-type"] == "application/x-protobuf"
        assert lower["user-agent"].startswith("execlog/")
    assert [values(one.resource_logs[0].resource.attributes) for one in taking.logs] == [SENDER] * 2


async def test_a_wrong_proxy_is_said(taking: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "odd://user:s3cret@proxy")
    with pytest.raises(ReceiverRefused, match="proxies") as caught:
        await delivered(taking, [one()], told=[])
    assert "s3cret" not in str(caught.value)


async def test_it_is_interrupted_at_once(taking: OtlpReceiver) -> None:
    taking.answers = ["hang"]
    task = asyncio.create_task(delivered(taking, [one()], told=[]))
    await until(lambda: taking.bodies)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


STATE: dict[str, Any] = {"log": {}, "place": "7:9:7", "sure": "7:7:", "at": "2026-01-01T00:00Z"}
EARLIER = {"since": "2026-01-01T00:00Z", "createdAt": "2026-01-02T00:00Z", "strategyId": "a"}


@pytest.mark.parametrize(
    "other",
    [
        {"newer": 1},
        {"place": "9:7:"},
        {"sure": ""},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"earlier": {**EARLIER, "since": "0001-01-01T00:00:00+14:00"}},
        {"earlier": {**EARLIER, "strategyId": ""}},
        {"earlier": {**EARLIER, "strategyId": "\0"}},
    ],
)
def test_a_state_that_no_call_would_take_is_said_to_be_none(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "state"
    path.write_text(json.dumps({**STATE, "earlier": EARLIER}))
    assert sending._read(path) is not None
    path.write_text(json.dumps({**STATE, **other}))
    with pytest.raises(StateUnavailable, match="holds no state of a sender"):
        sending._read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_a_state_that_is_no_file_is_not_read() -> None:
    with pytest.raises(StateUnavailable, match=r"^--state: is no file"):
        sending._read(Path("/dev/zero"))


@needs("yaml")
def test_the_document_shows_what_a_collector_reads() -> None:
    """Each pipeline names what the file has."""
    yaml: Any = importlib.import_module("yaml")
    found = yaml.safe_load(block("receivers:\n  otlp:"))
    assert found["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "127.0.0.1:4318"
    for pipeline in found["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= found[kind].keys()


def test_the_document_names_all_attributes() -> None:
    text = TEXT.replace("`, `.", "`, `execlog.strategy.")
    made = one(
        **SECRETS,
        status="error",
        realm_id="",
        external_game_id="",
        external_task_id="",
        parent_strategy_id="",
        error_code="",
        case_name="",
        points=0.0,
    )
    asked = log_record(made, Included(error_messages=True, users=True))
    for name in values(asked.attributes):
        assert f"`{name}`" in text
