-- Nobody stores until the transaction ends.
lock table execlog.rollup in exclusive mode;
