-- Nobody stores until the transaction ends.
set local lock_timeout = '2s';

lock table execlog.rollup in exclusive mode;
