"""execlog: the execution log of a scoring engine, on Postgres alone.

await execlog.migrate(dsn)
repository = execlog.StrategyExecutionLogRepository(pool)
await repository.list_for_strategy(strategy_id="loyalty", status="error")
"""

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
from execlog.models import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErrorCodeCount,
    RecorderStats,
    StrategyExecutionLog,
)
from execlog.recorder import ExecutionRecorder
from execlog.repository import StrategyExecutionLogRepository
from execlog.schema import check_migrations, dump_migrations, migrate

__all__ = [
    "CaseNameCount",
    "DurationAndNodesSummary",
    "DurationPercentiles",
    "ErrorCodeCount",
    "ExeclogError",
    "ExecutionRecorder",
    "InvalidArgument",
    "MigrationError",
    "QueryFileError",
    "QueryRejected",
    "RecorderStats",
    "RejectedExecution",
    "SchemaOutdated",
    "StoreUnavailable",
    "StrategyExecutionLog",
    "StrategyExecutionLogRepository",
    "check_migrations",
    "dump_migrations",
    "migrate",
]
