"""The recorder: an engine calls `record` after each run and forgets about it.

    async with execlog.ExecutionRecorder(dsn) as recorder:
        recorder.record(strategy_id="loyalty", strategy_version=3, ..., status="ok", ...)

`run` and `recorded` measure a run, and record it whichever way it ends. Data flows one way:
`encoder` turns the arguments into a line of COPY text, `buffer` holds the lines and the account,
`flusher` stores them in batches through a `connection`, and `lifecycle` runs that in an event loop.
"""

from __future__ import annotations

import inspect
import os
import random
import sys
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from execlog.admin.maintenance import Maintenance
from execlog.db import validation
from execlog.db.copy_format import COLUMNS
from execlog.db.sqltext import SCHEMA
from execlog.errors import InvalidArgument
from execlog.models import RecorderStats
from execlog.recorder import process
from execlog.recorder.buffer import POLICIES, Buffer, Policy
from execlog.recorder.connection import link_to
from execlog.recorder.encoder import Encoder, with_texts
from execlog.recorder.flusher import Delivery, OnReject
from execlog.recorder.lifecycle import Background
from execlog.recorder.log_reporter import Reporter
from execlog.recorder.maintenance_task import Upkeep
from execlog.recorder.masking import Mask, Rules, with_note
from execlog.recorder.run import Run, recorded
from execlog.recorder.signature import RunFields, as_checked, record_checked, run_checked
from execlog.recorder.span import current_trace_id
from execlog.recorder.spooled_buffer import SpooledBuffer
from execlog.recorder.spooled_delivery import SpooledDelivery
from execlog.recorder.spooling import Durability, Spooling
from execlog.repository.repository import files_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import ParamSpec, Self, TypeVar, Unpack
    from uuid import UUID

    from execlog.recorder.connection import Target
    from execlog.recorder.spool.spool import Spool

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["ExecutionRecorder"]

_BATCH_BYTES = 1024 * 1024  # a message of this size holds the event loop for a millisecond
_MOST_BATCH_ROWS = 10_000
_USUAL_ROW_BYTES = 4096  # a file of the spool is made for rows of at most this size
_CLOSE_SECONDS = 10.0
_MISSING: Any = None
_parents: list[object] = []


class ExecutionRecorder:
    """Records every execution, at a cost of microseconds.

    `record` puts the execution into memory; a task of an event loop stores it within about
    `linger` seconds, in batches, each exactly once, whatever happens to the server. Memory is
    bounded: if the store is away until the buffer is full, ok runs are dropped before failures, and
    each loss is counted with its reason in `stats()`.

    A process that is killed (`kill -9`) loses at most what was pending, and nothing with a `spool`.

    Life: `with` runs it in a thread of its own, `async with` (or `start`) in the running event
    loop. If nothing has started it, the first execution starts the thread, in whatever process;
    with a pool that can't be, its executions wait for `start`, and after five seconds a line of the
    log says so. The event loop keeps it until `aclose`, and `flush` and `aclose` from another loop
    raise; a thread's recorder answers every loop. A loop that was closed without `aclose` leaves
    the recorder as before `start`, with all that was pending. A cancelled task is started again by
    the next execution, `flush` or `aclose`. In a forked child it is new: empty, with an account of
    its own, not started; the parent's is not affected. Once closed, `record` refuses. What is still
    pending when the process ends, `recorder.process` says.

    Limits: a signal handler, or a finaliser of the garbage collector, that records while its own
    thread is inside `record` does not block, but can leave the account wrong; have the handler set
    a flag instead. An exception that such a handler raises inside `record` is lost: `record`
    catches it like one of its own.
    A trace is encoded whole before it is measured: one that refers to the same object repeatedly
    takes the time of each reference, and a generator in it is run.

    Args:
        target: A DSN (it keeps one connection of its own: recommended), or a pool (it borrows one
            connection for each batch, and waits for it while slow readers use them all).
        sample_rate: Share of the ok runs that is kept, in (0, 1]. Failures are always kept.
        trace_limit: The most entries that are kept of a trace, from its head; a note says what was
            cut. None: `trace_bytes` alone is the limit.
        trace_bytes: The most bytes of JSON that are kept of a trace, likewise.
        input_bytes: The most bytes of JSON of an input; a longer one is left out, with a note.
        max_rows: Executions that may be pending; None: as many as `max_bytes` holds (64 MiB hold
            about 300,000 without a trace, or 70,000 with one of ten entries).
        max_bytes: Bytes of memory that pending executions may take.
        batch_rows: Executions that are stored in one transaction.
        linger: Seconds that an execution waits for others before it is stored.
        timeout: Seconds until a try to store is given up.
        policy: What is dropped if the buffer is full, ok runs first: "drop_newest" or
            "drop_oldest".
        mask: What must not leave the process: see `execlog.recorder.masking`.
        on_reject: Called in the event loop with each execution that passed the checks here and that
            the server refused, as a `RejectedExecution`. An exception of it is logged.
        seed: Seed of the sampler's generator, for a reproducible choice.
        schema: The schema of the log.
        maintenance: How the partitions should be: the recorder then does once an hour what
            `execlog.maintain` does, on a second connection to the DSN or of the pool. The
            role must be the table's owner.
        spool: A folder whose files keep what is pending, so that it outlives the process: another
            process with the same folder stores what a dead one left, each execution once. It is
            made with mode 0700. See `execlog/recorder/README.md`.
        spool_bytes: Bytes that this recorder's own files may take, beside those that it adopts.
        durability: What pending executions outlive: "process" (they are in the system's page cache
            when `record` returns), or "disk": the machine too, but for the last batch.
        archive: The folder of the log's archive (`execlog.maintain(archive=)`), for a spool: what a
            dead process left, and may have stored long ago, is looked for in its files too. Without
            it, such a batch stays in the spool, and the log of the process says so. None: that of
            `maintenance`, if it has one.
        strict: For tests of an engine: an execution that can't be stored raises `InvalidArgument`
            instead of being counted as rejected.

    Raises:
        InvalidArgument: An argument is of another type or out of its range.
        ArchiveError: The extra for `archive` is not installed.
        QueryFileError: The install lacks SQL files.
    """

    def __init__(
        self,
        target: Target,
        *,
        sample_rate: float = 1.0,
        trace_limit: int | None = 200,
        trace_bytes: int = 1024 * 1024,
        input_bytes: int = 64 * 1024,
        max_rows: int | None = None,
        max_bytes: int = 64 * 1024 * 1024,
        batch_rows: int = 2000,
        linger: float = 0.2,
        timeout: float = 15.0,
        policy: Policy = "drop_newest",
        mask: Rules = (),
        on_reject: OnReject | None = None,
        seed: int | None = None,
        schema: str = SCHEMA,
        maintenance: Maintenance | None = None,
        strict: bool = False,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 2**30,
        durability: Durability = "process",
        archive: str | os.PathLike[str] | None = None,
    ) -> None:
        """Checks the arguments; nothing is started or sent. Raises: see the class."""
        self._link = link_to(target)
        self._schema = validation.schema(schema)
        self._sample_rate = _rate(sample_rate)
        if seed is not None and not isinstance(seed, int):
            raise InvalidArgument("seed", validation.must_be("an integer", seed))
        self._seed = seed
        self._dice = random.Random(seed)  # noqa: S311 - a choice, not a secret
        self._mask = None if isinstance(mask, tuple | list | dict) and not mask else Mask(mask)
        entries = sys.maxsize if trace_limit is None else trace_limit
        self._encoder = Encoder(
            trace_limit=validation.count("trace_limit", entries, least=0),
            trace_bytes=validation.count("trace_bytes", trace_bytes, least=2),
            input_bytes=validation.count("input_bytes", input_bytes, least=0),
        )
        self._encode = self._encoder.fast_path
        if not isinstance(policy, str) or policy not in POLICIES:
            raise InvalidArgument("policy", f"must be one of {', '.join(POLICIES)}")
        if on_reject is not None and not callable(on_reject):
            raise InvalidArgument("on_reject", "must be callable")
        if inspect.iscoroutinefunction(on_reject):
            raise InvalidArgument(
                "on_reject", "must be a plain function: its answer is not awaited"
            )
        most = None if max_rows is None else validation.count("max_rows", max_rows)
        at_once = validation.count("batch_rows", batch_rows)
        self._batch_rows = min(at_once, most or at_once, _MOST_BATCH_ROWS)
        self._limits: dict[str, Any] = {
            "max_rows": most,
            "max_bytes": validation.count("max_bytes", max_bytes),
            "batch_rows": self._batch_rows,
            "batch_bytes": min(_BATCH_BYTES, max_bytes // 4),
            "policy": policy,
        }
        self._linger = validation.seconds("linger", linger)
        self._timeout = validation.seconds("timeout", timeout)
        self._on_reject = on_reject
        if maintenance is not None and not isinstance(maintenance, Maintenance):
            raise InvalidArgument("maintenance", "must be an execlog.Maintenance")
        if maintenance is not None and not isinstance(target, str) and target.get_max_size() < 2:
            problem = "needs a DSN or a pool of two connections: one of them it may hold for long"
            raise InvalidArgument("maintenance", problem)
        self._maintenance = maintenance
        self._strict = validation.flag("strict", strict)
        self._spooling = None if spool is None else Spooling(spool, spool_bytes, durability)
        if archive is not None and spool is None:
            raise InvalidArgument("archive", "is for a recorder with a spool")
        if archive is None and spool is not None and maintenance is not None:
            archive = maintenance.archive
        self._archive = archive
        files_of(archive)
        self._forgotten: weakref.finalize[Any, ExecutionRecorder] = weakref.finalize(self, bool)
        self._begin()
        process.register(self)

    def _begin(self) -> None:
        """The state of a new recorder, also in a forked child."""
        options: dict[str, Any] = {
            "batch_rows": self._batch_rows,
            "linger": self._linger,
            "timeout": self._timeout,
            "on_reject": self._on_reject,
            "schema": self._schema,
        }
        self._spool: Spool | None = None
        if self._spooling is None:
            self._buffer = Buffer(**self._limits)
            self._delivery = Delivery(self._buffer, self._link, **options)
        else:
            usual = min(self._limits["batch_bytes"], self._batch_rows * _USUAL_ROW_BYTES)
            spool = self._spooling.begin(usual)
            buffer = SpooledBuffer(spool, **self._limits)
            self._spool, self._buffer = spool, buffer
            self._delivery = SpooledDelivery(
                buffer, self._link, spool, archive=files_of(self._archive), **options
            )
        self._add = self._buffer.add
        self._reporter = Reporter(self._buffer, self._delivery)
        upkeep = None
        if self._maintenance is not None:
            upkeep = Upkeep(self._link, self._maintenance, self._schema)
        self._background = Background(
            self._buffer, self._link, self._delivery, self._reporter, upkeep, self._spool
        )
        self._wake = self._background.wake
        if self._spool is not None:
            self._spool.on_left = self._background.adopt
        # One that its program has forgotten without closing it.
        self._forgotten.detach()
        self._forgotten = weakref.finalize(self, self._background.forget, _CLOSE_SECONDS)
        self._forgotten.atexit = False  # see `process`

    def __enter__(self) -> Self:
        """Starts it in a thread of its own.

        Raises InvalidArgument: it was closed, runs in an event loop, or has a pool.
        """
        self._background.start_thread()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes it, within 10 seconds. Raises: see `close`."""
        if not self._is_new():
            self.close()

    async def __aenter__(self) -> Self:
        """Starts it. Raises: see `start`."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes it, within 10 seconds. Raises: see `aclose`."""
        if not self._is_new():
            await self.aclose()

    def _is_new(self) -> bool:
        """Whether it is that of a forked child that leaves its parent's block."""
        return self._background.is_new() and not self._buffer.account().pending_rows

    async def start(self) -> None:
        """Starts storing, in the running event loop; the server need not be up yet.

        A recorder that runs in a thread of its own stays there. A server that refuses is tried
        again until it accepts: see `stats().last_error`.

        Raises:
            InvalidArgument: It was closed, or it runs in another event loop.
        """
        self._background.start()

    @property
    def sample_rate(self) -> float:
        """The share of the ok runs that is kept, in (0, 1]; it may be set at any time.

        Each row holds the rate that it was kept by, so all numbers stay true. Never raises.
        """
        return self._sample_rate

    @sample_rate.setter
    def sample_rate(self, value: float) -> None:
        """Raises InvalidArgument: it is no number in (0, 1]."""
        self._sample_rate = _rate(value)

    @as_checked(run_checked)
    def run(self, *unexpected: object, **fields: Any) -> Run:
        """A run to be measured and recorded: `with recorder.run(strategy_id=..., ...) as run:`.

        It takes what `record` takes except the outcome: see `Run`. Never raises.
        """
        return Run(self.record, self._buffer, unexpected, fields)

    def recorded(self, **fields: Unpack[RunFields]) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """A decorator: each call of the function, plain or async, is a `run` with these arguments.

        One with a keyword-only parameter `run` is given the `Run`: see `recorder.run.recorded`.

        Raises:
            InvalidArgument: What it decorates is a generator, or no function.
        """
        return recorded(self.run, fields)

    @as_checked(record_checked)
    def record(
        self,
        *unexpected: object,
        strategy_id: str = _MISSING,
        strategy_version: int = _MISSING,
        strategy_type: str = _MISSING,
        status: str = _MISSING,
        duration_ms: float = _MISSING,
        nodes_executed: int = _MISSING,
        realm_id: str | None = None,
        external_game_id: str | None = None,
        external_task_id: str | None = None,
        external_user_id: str | None = None,
        error_code: str | None = None,
        points: float | None = None,
        case_name: str | None = None,
        trace: list[Any] | None = None,
        parent_strategy_id: str | None = None,
        notes: str | None = None,
        id: UUID | None = None,
        created_at: datetime | None = None,
        sampled: bool | None = None,
        sample_rate: float | None = None,
        trace_id: UUID | str | int | None = None,
        error_message: str | BaseException | None = None,
        input: Any = None,
        attributes: dict[str, Any] | None = None,
        stored_at: datetime | None = None,
        **unknown: object,
    ) -> UUID | None:
        """Records an execution, to be stored soon. No I/O, no waiting; from any thread.

        Numbers may be of any library, also in the trace, where arrays become lists; an integer or a
        UUID may stand for the text of an id or a name. Text that Postgres can't hold is repaired,
        NaN in the trace becomes null, a trace that is too long is cut, and a value that JSON lacks
        is replaced by its type's name. What can't be stored even so is refused: counted by reason,
        and logged at most once a minute.

        Args:
            unexpected: Nothing; refused.
            strategy_id: Required, as are the next five. `StrategyExecutionLog` explains all.
            strategy_version: The version of the program that ran.
            strategy_type: For example DSL_FULL.
            status: "ok", "error", "timeout", "limit".
            duration_ms: Wall clock, milliseconds.
            nodes_executed: Rule nodes visited.
            realm_id: Tenant.
            external_game_id: Coordinate of the event.
            external_task_id: Coordinate of the event.
            external_user_id: Coordinate of the event.
            error_code: Why it failed.
            points: Points awarded.
            case_name: The rule case that fired.
            trace: One entry for each node.
            parent_strategy_id: The strategy that an extension wraps.
            notes: Free text.
            id: Generated if it is left out.
            created_at: When the run finished, with a time zone. Now, if it is left out.
            sampled: If this or `sample_rate` is given, the caller has sampled, and the run is kept.
            sample_rate: The share of such runs that the caller keeps; if it is left out, the
                recorder's own if `sampled` is true, else 1.
            trace_id: The W3C id of the distributed trace; if it is not given, that of
                OpenTelemetry's current span. A malformed one is left out.
            error_message: Why it failed, in words, or the error itself, for its text: the first
                2,000 characters, without connection strings and passwords.
            input: What the strategy was given, as JSON; a longer one than `input_bytes` is left
                out, and a note says so.
            attributes: The caller's own keys to text, numbers or booleans; what does not fit is
                left out, and a note says so.
            stored_at: Ignored: the store sets it, also for an execution that was read.
            unknown: Nothing; refused.

        Returns:
            The execution's id; None if it was sampled out, refused, or found no room.

        Never raises; if the recorder is strict, `InvalidArgument`.
        """
        now = time.time_ns()
        waits = False
        # Written out, because it is all that scoring pays for: handing the arguments on as a dict
        # would cost half as much again.
        # fmt: off
        try:
            failed = not status == "ok"  # a bool, whatever == answers
            if sampled is not None or sample_rate is not None:
                sampled = sampled or False
                if sample_rate is None:
                    sample_rate = self._sample_rate if sampled else 1.0
            elif failed or (rate := self._sample_rate) == 1.0:  # read once: it may be set meanwhile
                sampled, sample_rate = False, 1.0
            elif self._dice.random() < rate:
                sampled, sample_rate = True, rate
            else:
                self._buffer.sample_out()
                return None
            if trace_id is None and "traceId" not in unknown:
                trace_id = current_trace_id()
            if unknown or unexpected or self._mask is not None:
                raise ValueError
            id_, line, altered = self._encode(
                now, strategy_id, strategy_version, strategy_type, status, duration_ms,
                nodes_executed, realm_id, external_game_id, external_task_id, external_user_id,
                error_code, points, case_name, trace, parent_strategy_id, notes, id, created_at,
                sampled, sample_rate, trace_id, error_message, input, attributes,
            )
            waits, wake = self._add(line, failed, altered)
            if wake:
                self._wake()
            if waits:
                return id_
            process.hold(self._background)
            return None
        except Exception:  # of any kind: the execution is unusual
            if waits:  # but it was taken: the stack is too deep to wake the writer
                self._buffer.writer_sleeps = True
                return id_
            try:
                return self._record_with_care(now, locals())
            except InvalidArgument:  # it is strict
                raise
            except Exception:  # the stack is so deep that not even that can be called
                self._buffer.uncalled += 1
                return None
        # fmt: on

    async def flush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - part of the contract
        """Waits until every execution recorded before the call is stored, rejected or dropped.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if the time was not enough; the rest is still pending.

        Raises:
            InvalidArgument: `timeout` is no positive number, or the recorder runs in another loop.
        """
        return await self._background.flush(validation.seconds("timeout", timeout))

    async def aclose(self, timeout: float = 10.0) -> RecorderStats:  # noqa: ASYNC109
        """Refuses new executions, stores pending ones, closes the connection.

        If it is cancelled, it drops what is still pending and is closed all the same. A second call
        waits for the first one and returns the same.

        Args:
            timeout: Seconds to try to store; then the rest is dropped as "closed", or as
                "unconfirmed" if it was sent and its commit was not answered; with a spool it stays
                in its files. It returns at most a second later, whatever the server
                does, or four if the spool's disk is slow.

        Returns:
            The final account: nothing is pending but what lies in files.

        Raises:
            InvalidArgument: `timeout` is no positive number, or the recorder runs in another loop.
        """
        await self._background.close(validation.seconds("timeout", timeout))
        return self.stats()

    def flush_blocking(self, timeout: float = 10.0) -> bool:
        """As `flush`, for code without an event loop; from any thread but the one that stores.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if the time was not enough; the rest is still pending.

        Raises:
            InvalidArgument: `timeout` is no positive number, the caller's event loop is the one
                that stores, or the recorder has a pool and was not started.
        """
        return self._background.flush_blocking(validation.seconds("timeout", timeout))

    def close(self, timeout: float = 10.0) -> RecorderStats:
        """As `aclose`, for code without an event loop; from any thread but the one that stores.

        Args:
            timeout: Seconds to try to store; then the rest is dropped, or stays in its files.

        Returns:
            The final account: nothing is pending but what lies in files.

        Raises:
            InvalidArgument: `timeout` is no positive number, the caller's event loop is the one
                that stores, or the recorder has a pool and was not started.
        """
        self._background.close_blocking(validation.seconds("timeout", timeout))
        return self.stats()

    def stats(self) -> RecorderStats:
        """The present account; offered is the sum of all outcomes. Never raises."""
        account, delivery = self._buffer.account(), self._delivery
        success = delivery.last_success
        return RecorderStats(
            **vars(account),
            batches=delivery.batches,
            retries=delivery.retries,
            last_error=delivery.last_error,
            seconds_since_success=None if success is None else time.monotonic() - success,
            alive=self._background.is_alive(),
            spooled_bytes=self._buffer.spooled_bytes(),
            slow_writes=0 if self._spool is None else self._spool.slow_writes,
        )

    def _record_with_care(self, now: int, given: dict[str, Any]) -> UUID | None:
        """The slow path of `record`: masks, repairs or refuses."""
        try:
            if given["unexpected"]:
                problem = "is positional, and record takes keyword arguments only"
                raise InvalidArgument("unexpected", problem)
            fields = {name: given[name] for name in COLUMNS if given[name] is not None}
            fields |= given["unknown"]
            if self._mask is not None:
                fields = with_texts(fields)
                masked = with_note(fields, self._mask(fields))
                id_, line, altered = self._encoder.encode(now, masked)
            else:
                id_, line, altered = self._encoder.slow_path(now, fields)
            waits, wake = self._add(line, bool(given["status"] != "ok"), altered)
        except Exception as error:
            self._refuse(error)
            return None
        try:
            if wake:
                self._wake()
        except Exception:  # the stack is too deep
            self._buffer.writer_sleeps = True
        if waits:
            return id_
        process.hold(self._background)
        return None

    def _refuse(self, error: Exception) -> None:
        reason = "internal"
        if isinstance(error, InvalidArgument):
            name = error.argument.partition(".")[0]
            reason = name if name in COLUMNS else "unknown_field"
            if reason == "unknown_field" and not (name.isidentifier() and len(name) < 64):
                error = InvalidArgument("", "an argument is not a field of an execution")
        if self._strict and isinstance(error, InvalidArgument):
            raise error from None
        # Of another error only the class: its text may hold the row.
        problem = str(error) if isinstance(error, InvalidArgument) else type(error).__name__
        try:
            self._reporter.explain(reason, problem)
            self._buffer.reject(reason)
        except Exception:  # the stack is too deep to call them
            self._buffer.uncalled += 1

    def background(self) -> Background:
        """What runs it. Never raises."""
        return self._background

    def pending(self) -> int:
        """The number of executions that are lost if the process ends now. Never raises."""
        account = self._buffer.account()
        return account.pending_rows - account.spooled_rows

    def after_fork(self) -> None:
        """Becomes new in a forked child; keeps the parent's objects for ever, unchanged.

        Closing or collecting them would send data on the parent's socket. Never raises.
        """
        _parents.append(self._background)
        self._link = self._link.abandon()
        if self._seed is None:
            self._dice = random.Random()  # noqa: S311
        self._begin()


def _rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        problem = "must be a number above 0 and at most 1 (0.001 keeps the numbers true)"
        raise InvalidArgument("sample_rate", problem)
    return float(value)
