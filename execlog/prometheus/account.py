"""The account of the recorders of all processes, as the log has it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from execlog.admin.account import recorder_account
from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.prometheus.labels import Labels, checked, outcomes
from execlog.repository.accounts import RecorderAccount, total_of

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["LogCollector"]


class LogCollector(Collector):
    """Exports the accounts of the recorders of all processes, of the last day.

    A scrape asks no server: have a task call `read` once a minute.

    Args:
        target: A DSN, a Connection or a Pool.
        labels: Additional labels of each metric, by name.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `schema` can't be a name; a label's name is not valid in Prometheus, or is
            one of the metrics' own.
    """

    def __init__(
        self, target: Target, labels: Labels | None = None, *, schema: str = SCHEMA
    ) -> None:
        """Takes the parts; nothing is sent. Raises: see the class."""
        self._target = target
        self._labels = checked(labels)
        self._schema = validation.schema(schema)
        self._accounts: list[RecorderAccount] = []
        self._read_at: float | None = None

    async def read(self) -> None:
        """Reads the accounts; until then there are no metrics. Raises: see `recorder_account`."""
        since = datetime.now(UTC) - timedelta(days=1)
        self._accounts = await recorder_account(self._target, since=since, schema=self._schema)
        self._read_at = time.monotonic()

    def describe(self) -> Iterator[Metric]:
        """No metric, so that a registry accepts a second collector. Never raises."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The metrics as of the last `read`. Never raises."""
        if self._read_at is None:
            return
        names = [*self._labels, "outcome", "reason"]
        total = total_of(self._accounts)
        text = "Executions of the last day by outcome, of all processes."
        family = GaugeMetricFamily("execlog_day_executions", text, labels=names)
        for outcome, count in {("pending", ""): total.pending, **outcomes(total)}.items():
            family.add_metric([*self._labels.values(), *outcome], count)
        yield family
        lost = [one for one in self._accounts if one.state == "open"]
        for name, text, value in (
            ("offered", "Executions that were offered.", total.offered),
            ("recovered", "Executions taken over from other processes.", total.recovered),
            ("open_recorders", "Recorders not closed and not seen for two minutes.", len(lost)),
            (
                "most_missing",
                "Executions that these may have lost at most.",
                sum(one.most_missing for one in lost),
            ),
            ("read_seconds", "Seconds since this was read.", time.monotonic() - self._read_at),
        ):
            gauge = GaugeMetricFamily(f"execlog_day_{name}", text, labels=list(self._labels))
            gauge.add_metric(list(self._labels.values()), value)
            yield gauge
