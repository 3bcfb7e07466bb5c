-- Lifts the time limits that role, database or server set, for long work. Only an idle transaction is ended,
-- after half a minute, because it may hold locks; and a lock is waited for no longer than that.
--
-- By SET, which takes no snapshot: a repeatable-read transaction must take locks before its snapshot. A
-- statement is left out if the server does not know its limit.
set :scope statement_timeout = 0;

set :scope transaction_timeout = 0;

set :scope idle_in_transaction_session_timeout = '30s';

set :scope lock_timeout = '30s';
