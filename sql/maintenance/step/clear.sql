-- Removes the index that an interrupted rebuild left. If that rebuild is still at work in another process, this
-- waits for its lock of the partition until the limit: nothing of it is taken away.
drop index concurrently if exists execlog.:"index";
