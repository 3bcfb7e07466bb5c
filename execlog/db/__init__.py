"""The way to the database: connections, statements, and rows as they are sent and read."""
