-- Marks a partition whose inputs were cleared. The number of the table is named, since another log that this
-- one is restored into counts its transactions anew.
comment on column execlog.:"partition".input is :'comment';
