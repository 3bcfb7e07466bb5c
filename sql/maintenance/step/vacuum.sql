-- Marks the pages of a partition that is closed, so that index-only scans need not visit them again.
vacuum (freeze, analyze, skip_locked) execlog.:"partition";
