"""The questions that are asked of the log: one file for each group of them."""

from execlog.repository.repository import StrategyExecutionLogRepository, statements

__all__ = ["StrategyExecutionLogRepository", "statements"]
