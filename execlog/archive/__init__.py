"""Old rows in Parquet files: the folder, the files, and the table that says which of them to trust."""
