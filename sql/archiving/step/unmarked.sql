-- The rollups hold rows that go, and go on doing so: no mark is made of them.
set local strategy_execution_log.marked = 'no';
