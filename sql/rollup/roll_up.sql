-- Sums up what has closed, an hour of it at most, and says whether there is more to do.
-- Columns: outcome text
-- Index: strategy_execution_log_time
--
-- more, done; busy: another process is at it; off: rollups are switched off.
select execlog.roll_up() as outcome
