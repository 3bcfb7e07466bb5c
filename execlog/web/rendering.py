"""Renders the templates; whatever is stored is escaped, by the template engine and for the eye."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from execlog.figures import milliseconds, number, percent, points, shown, size
from execlog.web import charts
from execlog.web.view import PRESETS, View

__all__ = ["render"]

_KNOWN = frozenset({"ok", "error", "timeout", "limit"})
_NOISE = 1e-12  # of a difference of two shares


def render(
    template: str,
    view: View | None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **given: Any,
) -> HTMLResponse:
    """A page.

    Args:
        template: Its file.
        view: What is looked at; None on a page that could not be made.
        status: Of HTTP.
        headers: Of HTTP.
        given: What else the template names.

    Raises:
        jinja2.TemplateError: A template is wrong.
    """
    text = _environment().get_template(template).render(view=view, **given)
    return HTMLResponse(text, status, headers)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        number=number,
        percent=percent,
        ms=milliseconds,
        size=size,
        shown=shown,
        lines=_lines,
        clock=_clock,
        machine=_machine,
        kind=_kind,
        plain=_plain,
    )
    environment.globals.update(
        HEIGHT=charts.HEIGHT,
        STATUSES=charts.STATUSES,
        PRESETS=PRESETS,
        tick=timedelta(microseconds=1),
        number_of=number,
        percent_of=percent,
        points_of=_points,
        rounded=_rounded,
        ms_of=milliseconds,
        root="",
    )
    return environment


def _clock(time: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time in UTC, as all times of a page are."""
    if time is None:
        return "no time"
    # (strftime writes the year 33 as "33".)
    return time.astimezone(UTC).strftime(form.replace("%Y", f"{time.astimezone(UTC).year:04}"))


def _points(rate: float) -> str:
    """What a percentage has moved by."""
    return points(rate if rate > _NOISE else 0.0)


def _rounded(value: float) -> str:
    return number(round(value, 2))


def _machine(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _kind(status: str) -> str:
    """The class of a status."""
    return status if status in _KNOWN else "other"


def _plain(value: float) -> str:
    """A number as an URL takes it."""
    return repr(float(value)).removesuffix(".0")


def _lines(value: object) -> str:
    """A stored text whose lines are kept."""
    return "\n".join(shown(line) for line in str(value).split("\n"))
