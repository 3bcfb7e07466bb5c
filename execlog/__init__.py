"""execlog: the execution log of a scoring engine, on Postgres alone.

    import asyncio, asyncpg, execlog

    async def main(dsn: str) -> None:
        await execlog.migrate(dsn)
        async with execlog.ExecutionRecorder(dsn) as recorder:  # exits once all is stored
            strategy = dict(strategy_id="loyalty", strategy_version=3, strategy_type="DSL")
            with recorder.run(**strategy) as run:
                run.points = 10.0  # what your engine says
        async with asyncpg.create_pool(dsn) as pool:
            log = execlog.StrategyExecutionLogRepository(pool)
            print(await log.list_for_strategy(strategy_id="loyalty"))

    asyncio.run(main("postgresql://..."))

A target is a DSN, or a Connection or a Pool of asyncpg's. Times have a zone, durations are in
milliseconds, rates lie between 0 and 1. Answers are pydantic models: `model_dump(by_alias=True,
mode="json")` has the names of the JSON API.

Record
    ExecutionRecorder   `run` and `recorded` measure a run, `record` takes one that was measured; it
                        is stored soon, exactly once. `stats` is its account (RecorderStats),
                        `on_reject` gets what the server refused (RejectedExecution), `maintenance`
                        is a Maintenance.

Ask: methods of StrategyExecutionLogRepository, one statement each
    one run             `get`, `list_by_prefix`, `next_failure`: a StrategyExecutionLog
    runs, newest first  `list_executions`, `list_for_strategy`, `list_failures`, `list_newest`,
                        `stream`, `list_stored` (in the order of commits); how many:
                        `count_executions`
    a strategy's card   `metrics` (StrategyMetrics: StatusBreakdown, DurationMetrics,
                        HistogramBucket), `report` (StrategyReport, ReportIntervals),
                        `count_by_status`, `count_by_error_code` (ErrorCodeCount),
                        `count_by_case_name` (CaseNameCount), `count_by_points` (PointsCount),
                        `duration_percentiles` (DurationPercentiles), `duration_and_nodes_summary`
                        (DurationAndNodesSummary), `sample_durations`, `sample_points`, `node_times`
                        (NodeTimes, NodeTime)
    over time           `timeseries` (TimeseriesBucket)
    which is worst      `rank_strategies`, `rank_together` (StrategyRank), `activity`
                        (StrategyActivity, LevelChange)
    by a column         `breakdown` (Breakdown); which values no run has: `list_absent`
    A against B         `compare`, of strategies or of a Slice each (StrategyComparison,
                        MetricsDelta, ComparisonIntervals, Interval)
    what changed, why   `explain` (Explanation, Cause)
    what another version would have decided
                        replay (Replay), of a function that answers an Outcome
    the log itself      `health`, `list_tables`, `rollup_state`, `maintenance_state`,
                        `archive_state` (ArchiveState), `recorder_account`, `count_stored`,
                        `spooling_recorders`
    to write            `insert_row`, `insert_rows`, `insert_missing`; `erase` a user (ErasedPart)

Run it
    tables              migrate, check_migrations, dump_migrations
    roles               dump_roles, dump_realm_reader, dump_alerter: SQL for psql
    partitions          maintain (MaintenanceRun of MaintenanceStep)
    is it well?         health (Health: StoredTable, RollupState, MaintenanceState)
    is all of it there? recorder_account (RecorderAccount), over all processes
    rollups             roll_up, rebuild_rollups (RebuiltPart), verify_rollups (RollupDifference)
    old rows in files   archived_files (ArchivedFile), verify_archive (ArchiveProblem),
                        restore_archive (RestoredFile), erase_archived (ErasedFile)
    a Citus cluster     distribute, dump_distribution

Errors, by what to do about them; each is an ExeclogError
    InvalidArgument     fix the call
    SchemaOutdated      run `execlog migrate`
    StoreUnavailable    try again later
    QueryRejected       don't try again
    ArchiveError        look at the archive's folder, which it names
    QueryFileError, MigrationError      fix the install

More: execlog.web (the pages), execlog.embedded (a private Postgres), execlog.prometheus,
execlog.otel. One name alone: `python -m pydoc execlog.StrategyExecutionLogRepository.explain`.
"""

from execlog.admin.account import recorder_account
from execlog.admin.citus import distribute, dump_distribution
from execlog.admin.erasing import ErasedFile, erase_archived
from execlog.admin.health import health
from execlog.admin.maintenance import Maintenance, MaintenanceRun, MaintenanceStep, maintain
from execlog.admin.migrations import check_migrations, dump_migrations, migrate
from execlog.admin.restoring import RestoredFile, restore_archive
from execlog.admin.roles import dump_alerter, dump_realm_reader, dump_roles
from execlog.admin.rollups import (
    RebuiltPart,
    RollupDifference,
    rebuild_rollups,
    roll_up,
    verify_rollups,
)
from execlog.archive.entries import ArchivedFile, archived_files
from execlog.archive.verifying import ArchiveProblem, verify_archive
from execlog.errors import (
    ArchiveError,
    ExeclogError,
    InvalidArgument,
    MigrationError,
    QueryFileError,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
)
from execlog.models import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErasedPart,
    ErrorCodeCount,
    PointsCount,
    RecorderStats,
    StrategyExecutionLog,
    StrategyRank,
)
from execlog.recorder.flusher import RejectedExecution
from execlog.recorder.recorder import ExecutionRecorder
from execlog.replaying.asking import replay
from execlog.replaying.outcome import Outcome
from execlog.replaying.result import Replay
from execlog.repository import StrategyExecutionLogRepository
from execlog.repository.accounts import RecorderAccount
from execlog.repository.activity import LevelChange, StrategyActivity
from execlog.repository.comparison import (
    ComparisonIntervals,
    MetricsDelta,
    StrategyComparison,
)
from execlog.repository.explanation import Cause, Explanation
from execlog.repository.groups import Breakdown
from execlog.repository.health import (
    ArchiveState,
    Health,
    MaintenanceState,
    RollupState,
    StoredTable,
)
from execlog.repository.metrics import (
    DurationMetrics,
    HistogramBucket,
    StatusBreakdown,
    StrategyMetrics,
)
from execlog.repository.node_times import NodeTime, NodeTimes
from execlog.repository.report import ReportIntervals, StrategyReport
from execlog.repository.slice import Slice
from execlog.repository.timeseries import TimeseriesBucket
from execlog.repository.verdicts import Interval

__version__ = "0.1.0"

__all__ = [
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
