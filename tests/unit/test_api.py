"""The public names, and what their docstrings promise."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest

import execlog
from execlog.cli import app

PUBLIC = [
    "ArchiveError",
    "ArchiveProblem",
    "ArchiveState",
    "ArchivedFile",
    "Breakdown",
    "CaseNameCount",
    "Cause",
    "ComparisonIntervals",
    "DurationAndNodesSummary",
    "DurationMetrics",
    "DurationPercentiles",
    "ErasedFile",
    "ErasedPart",
    "ErrorCodeCount",
    "ExeclogError",
    "ExecutionRecorder",
    "Explanation",
    "Health",
    "HistogramBucket",
    "Interval",
    "InvalidArgument",
    "LevelChange",
    "Maintenance",
    "MaintenanceRun",
    "MaintenanceState",
    "MaintenanceStep",
    "MetricsDelta",
    "MigrationError",
    "NodeTime",
    "NodeTimes",
    "Outcome",
    "PointsCount",
    "QueryFileError",
    "QueryRejected",
    "RebuiltPart",
    "RecorderAccount",
    "RecorderStats",
    "RejectedExecution",
    "Replay",
    "ReportIntervals",
    "RestoredFile",
    "RollupDifference",
    "RollupState",
    "SchemaOutdated",
    "Slice",
    "StatusBreakdown",
    "StoreUnavailable",
    "StoredTable",
    "StrategyActivity",
    "StrategyComparison",
    "StrategyExecutionLog",
    "StrategyExecutionLogRepository",
    "StrategyMetrics",
    "StrategyRank",
    "StrategyReport",
    "TimeseriesBucket",
    "archived_files",
    "check_migrations",
    "distribute",
    "dump_alerter",
    "dump_distribution",
    "dump_migrations",
    "dump_realm_reader",
    "dump_roles",
    "erase_archived",
    "health",
    "maintain",
    "migrate",
    "rebuild_rollups",
    "recorder_account",
    "replay",
    "restore_archive",
    "roll_up",
    "verify_archive",
    "verify_rollups",
]


def modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(execlog.__path__, "execlog."):
        if not module.ispkg and not module.name.rpartition(".")[2].startswith("_"):
            yield module.name


def public_callables() -> Iterator[tuple[str, object]]:
    """Every public function, method and class that raises or promises not to.

    A command's docstring is its help; how it ends is said in `execlog.cli`.
    """
    commands = {command.callback for command in app.registered_commands}
    for name in modules():
        module = importlib.import_module(name)
        for exported in module.__all__:
            value = getattr(module, exported)
            if inspect.isfunction(value) and value.__module__ == name and value not in commands:
                yield f"{name}.{exported}", value
            if inspect.isclass(value) and value.__module__ == name:
                for method, function in vars(value).items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"{name}.{exported}.{method}", function


CALLABLES = dict(public_callables())


def test_the_public_names() -> None:
    assert execlog.__all__ == PUBLIC == sorted(PUBLIC)
    assert all(hasattr(execlog, name) for name in PUBLIC)


@pytest.mark.parametrize("name", list(modules()))
def test_every_module_says_what_it_is_for_and_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert module.__all__ == sorted(module.__all__, key=lambda n: (not n.isupper(), n))


@pytest.mark.parametrize("name", CALLABLES)
def test_every_docstring_says_what_it_raises(name: str) -> None:
    docstring = inspect.getdoc(CALLABLES[name])
    assert docstring, name
    assert re.search(r"Raises:?|Raises |[Nn]ever raises", docstring), name


def test_the_errors_are_one_tree() -> None:
    errors = [getattr(execlog, name) for name in PUBLIC if isinstance(getattr(execlog, name), type)]
    ours = [error for error in errors if issubclass(error, Exception)]
    assert len(ours) == 8
    assert all(issubclass(error, execlog.ExeclogError) for error in ours)
    assert issubclass(execlog.InvalidArgument, ValueError)
