"""The questions that are asked of the log, and their answers: a file of questions each."""

from execlog.repository.repository import StrategyExecutionLogRepository, statements

__all__ = ["StrategyExecutionLogRepository", "statements"]
