-- What DuckDB may use: one folder of the disk, and so much memory; nothing can be changed afterwards.
set allowed_directories = [:'folder'];

set temp_directory = :'spill';

set memory_limit = :'memory';

set threads = :threads;

set preserve_insertion_order = true;

set enable_external_access = false;

set lock_configuration = true;
