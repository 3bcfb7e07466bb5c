-- Vacuums a closed partition, so that index-only scans need not visit its pages again.
vacuum (freeze, analyze, skip_locked) execlog.:"partition";
