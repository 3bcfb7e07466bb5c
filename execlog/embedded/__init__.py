"""A private Postgres server for a demo, a test run or a laptop (extra `embedded`)."""

from execlog.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
