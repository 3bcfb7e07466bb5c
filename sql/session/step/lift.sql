-- What is long may take as long as it takes, whatever its role, its database or its server allows. Only a
-- transaction that stands still is ended, after half a minute, for it may hold locks; and a lock is waited
-- for no longer than that.
--
-- By SET, which takes no snapshot: a transaction that is repeatable has locks to take before its own. A
-- statement is left out if the server does not know its limit.
set :scope statement_timeout = 0;

set :scope transaction_timeout = 0;

set :scope idle_in_transaction_session_timeout = '30s';

set :scope lock_timeout = '30s';
