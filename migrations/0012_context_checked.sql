-- Checks the rows that were there before 0010: their columns are NULL.
--
-- Locks: execlog.strategy_execution_log and its partitions, share update exclusive, while all rows are read
-- once: neither readers nor writers wait. Expected stall: none; about a second for each million rows.
alter table execlog.strategy_execution_log
    validate constraint trace_id_not_zero,
    validate constraint error_message_in_length,
    validate constraint attributes_is_object;
