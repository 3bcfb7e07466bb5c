"""Administration of the log: migrations, partitions, rollups, roles, and health."""
