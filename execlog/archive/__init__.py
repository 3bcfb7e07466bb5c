"""Old rows in Parquet files: the folder, the files, and the table of those to trust."""
