"""execlog: the execution log of a scoring engine, on Postgres alone.

await execlog.migrate(dsn)
repository = execlog.StrategyExecutionLogRepository(pool)
await repository.list_for_strategy(strategy_id="loyalty", status="error")
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
    "PointsCount",
    "QueryFileError",
    "QueryRejected",
    "RebuiltPart",
    "RecorderAccount",
    "RecorderStats",
    "RejectedExecution",
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
    "restore_archive",
    "roll_up",
    "verify_archive",
    "verify_rollups",
]
