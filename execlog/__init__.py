"""execlog: the execution log of a scoring engine, on Postgres alone.

await execlog.migrate(dsn)
repository = execlog.StrategyExecutionLogRepository(pool)
await repository.list_for_strategy(strategy_id="loyalty", status="error")
"""

from execlog.activity import StrategyActivity
from execlog.cluster import distribute, dump_distribution
from execlog.delivery import RejectedExecution
from execlog.errors import (
    ExeclogError,
    InvalidArgument,
    MigrationError,
    QueryFileError,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
)
from execlog.healthcheck import Health, MaintenanceState, RollupState, StoredTable
from execlog.maintenance import Maintenance, MaintenanceRun, MaintenanceStep, maintain
from execlog.metrics import (
    DurationMetrics,
    HistogramBucket,
    MetricsDelta,
    StatusBreakdown,
    StrategyComparison,
    StrategyMetrics,
)
from execlog.models import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErasedPart,
    ErrorCodeCount,
    RecorderStats,
    StrategyExecutionLog,
    StrategyRank,
)
from execlog.page import StrategyReport
from execlog.probe import health
from execlog.recorder import ExecutionRecorder
from execlog.repository import StrategyExecutionLogRepository
from execlog.roles import dump_realm_reader, dump_roles
from execlog.rollups import RebuiltPart, RollupDifference, rebuild_rollups, verify_rollups
from execlog.schema import check_migrations, dump_migrations, migrate
from execlog.timeseries import TimeseriesBucket

__version__ = "0.1.0"

__all__ = [
    "CaseNameCount",
    "DurationAndNodesSummary",
    "DurationMetrics",
    "DurationPercentiles",
    "ErasedPart",
    "ErrorCodeCount",
    "ExeclogError",
    "ExecutionRecorder",
    "Health",
    "HistogramBucket",
    "InvalidArgument",
    "Maintenance",
    "MaintenanceRun",
    "MaintenanceState",
    "MaintenanceStep",
    "MetricsDelta",
    "MigrationError",
    "QueryFileError",
    "QueryRejected",
    "RebuiltPart",
    "RecorderStats",
    "RejectedExecution",
    "RollupDifference",
    "RollupState",
    "SchemaOutdated",
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
    "check_migrations",
    "distribute",
    "dump_distribution",
    "dump_migrations",
    "dump_realm_reader",
    "dump_roles",
    "health",
    "maintain",
    "migrate",
    "rebuild_rollups",
    "verify_rollups",
]
