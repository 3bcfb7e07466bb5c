"""What the extra `test` does not bring: without it tests are left out, and the run says which.

Nothing here may be imported at the top of a test file: `needs` marks the test, or the file, that
imports it.
"""

from __future__ import annotations

import importlib.util

import pytest

__all__ = ["EXTRAS", "missing", "needs"]

EXTRAS = {
    "alembic": "test-recipes",
    "axe_playwright_python": "test-web",
    "basedpyright": "typing",
    "celery": "test-recipes",
    "django": "test-recipes",
    "fastapi": "test-recipes",
    "flask": "test-recipes",
    "gevent": "test-recipes",
    "gunicorn": "test-recipes",
    "mypy": "dev",
    "opentelemetry.sdk": "test-recipes",
    "playwright": "test-web",
    "psycopg": "test-recipes",
    "readme_renderer": "dev",
    "rq": "test-recipes",
    "rule_engine": "test-recipes",
    "schemathesis": "test-web",
    "sqlalchemy": "test-recipes",
    "uvloop": "test-recipes",
    "yaml": "test-recipes",
}
"""The extra that brings a module."""


def missing(*modules: str) -> str | None:
    """Which of these is not installed and which extra brings it, or `None` if all are there."""
    for module in modules:
        package = module.partition(".")[0]
        if not (importlib.util.find_spec(package) and importlib.util.find_spec(module)):
            return f"{module} is not installed: the extra {EXTRAS[module]} brings it"
    return None


def needs(*modules: str) -> pytest.MarkDecorator:
    """Marks what is left out if one of these is not installed."""
    reason = missing(*modules)
    return pytest.mark.skipif(reason is not None, reason=reason or "")
