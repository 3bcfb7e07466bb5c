"""Labels that a caller adds to metrics, and the outcomes of an account as labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.models import RecorderStats
from execlog.repository.accounts import AccountTotal

__all__ = ["Labels", "checked", "outcomes"]

Labels: TypeAlias = Mapping[str, str]
"""Names and values."""

_OF_ACCOUNTS = frozenset({"outcome", "reason"})
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def checked(labels: object, own: frozenset[str] = _OF_ACCOUNTS) -> dict[str, str]:
    """A caller's labels.

    Args:
        labels: The labels; None: none.
        own: The names of the metrics' own.

    Raises:
        InvalidArgument: They are no dict of texts, a name is not valid in Prometheus, or is one of
            the metrics' own.
    """
    if not isinstance(labels, Mapping | None):
        problem = validation.must_be("a dict of names and values", labels)
        raise InvalidArgument("labels", problem)
    found = dict(labels or {})
    for name, value in found.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name) or name in own:
            raise InvalidArgument("labels", f"{name!r} can't be the name of a label here")
        validation.text(f"labels[{name!r}]", value)
    return found


def outcomes(stats: RecorderStats | AccountTotal) -> dict[tuple[str, str], int]:
    """How many executions had each outcome, for each reason. Never raises."""
    return {
        ("written", ""): stats.written,
        ("sampled_out", ""): stats.sampled_out,
        **{("rejected", why): count for why, count in stats.rejected.items()},
        **{("dropped", why): count for why, count in stats.dropped.items()},
    }
