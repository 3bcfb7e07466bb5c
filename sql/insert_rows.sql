-- Stores many executions, all or none.
-- The rows are sent as text, so the server reads each value by the column's present type: a type that
-- changed under a live connection, or a codec set on the pool, can't store a wrong value. The driver
-- writes the COPY command itself, from the table and the columns named here.
-- Columns: none
-- Index: none
copy execlog.strategy_execution_log (
    :columns(stored, written)
) from stdin (format text, null e'\x01')
