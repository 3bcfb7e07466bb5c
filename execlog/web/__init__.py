"""The runbook as pages and JSON (extra `web`): mounted into a service, or `execlog serve`."""

from __future__ import annotations

try:
    import jinja2  # noqa: F401 - to say at once what is missing
    import starlette  # noqa: F401
except ImportError as error:  # the core works without them
    raise ImportError("execlog.web needs its extra: pip install 'execlog[web]'") from error

from execlog.web.access import Authorize, Scope, with_token
from execlog.web.app import create_app

__all__ = ["Authorize", "Scope", "create_app", "with_token"]
