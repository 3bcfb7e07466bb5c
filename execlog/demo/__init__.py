"""The demo: a real rules engine scores the standard library, and its log is stored and read."""
