"""What looks after the log: migrations, partitions, rollups, roles, and whether it is well."""
