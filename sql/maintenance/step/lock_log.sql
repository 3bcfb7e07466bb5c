-- From here on all other sessions wait: at most the limit for this lock, and then that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';
