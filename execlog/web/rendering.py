"""Renders the templates; stored texts are escaped for HTML, and their control characters shown."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse

from execlog.db.slices import sliced
from execlog.display.format import milliseconds, number, percent, points, shown, size
from execlog.models import STATUSES
from execlog.web import axes, charts, zones
from execlog.web.view import PRESETS, View

__all__ = ["document", "prepare", "render", "render_problem"]

_KNOWN = frozenset(STATUSES)
_NOISE = 1e-12  # of a difference of two shares
_LONGEST = 5_000  # characters of a text that are shown
_REALMS = 200  # the most that a list to choose from has; beyond that a realm is typed in


async def render(template: str, view: View, **given: Any) -> HTMLResponse:
    """A page, rendered in slices of lines, so that other tasks get their turns.

    Args:
        template: The template's file.
        view: The view.
        given: The other variables of the template.

    Raises:
        jinja2.TemplateError: A template is wrong.
    """
    texts = _environment().get_template(template).generate(view=view, **given)
    return HTMLResponse("".join(await sliced(texts)))


def render_problem(status: int, headers: dict[str, str], **given: Any) -> HTMLResponse:
    """The page of a problem, which is short.

    Args:
        status: The HTTP status.
        headers: The HTTP headers.
        given: The variables of the template.

    Raises:
        jinja2.TemplateError: The template is wrong.
    """
    text = _environment().get_template("problem.html").render(view=None, missing=[], **given)
    return HTMLResponse(text, status, headers)


def document(template: str, **given: Any) -> str:
    """A file of its own, which no page leads to.

    Args:
        template: The template's file.
        given: The variables of the template.

    Raises:
        jinja2.TemplateError: The template is wrong.
    """
    return _environment().get_template(template).render(**given)


def prepare() -> None:
    """Compiles the templates, so that the first viewer need not wait for it.

    Raises:
        jinja2.TemplateError: A template is wrong.
    """
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


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
        ago=_ago,
        clock=_clock,
        machine=_machine,
        kind=_kind,
        plain=_plain,
        head=_head,
        cut_off=_cut_off,
    )
    environment.globals.update(
        HEIGHT=axes.HEIGHT,
        STATUSES=charts.STATUSES,
        PRESETS=PRESETS,
        REALMS=_REALMS,
        tick=timedelta(microseconds=1),
        number_of=number,
        percent_of=percent,
        points_of=_points,
        rounded=_rounded,
        ms_of=milliseconds,
        root="",
    )
    return environment


@pass_context
def _clock(context: Context, time: datetime | None, form: str | None = None) -> str:
    """A time in the zone of the view, which a template of macros has if imported with context."""
    if time is None:
        return "no time"
    view: View = context["view"]
    return zones.clock(time, view.clock, view.now, form)


@pass_context
def _ago(context: Context, time: datetime) -> str:
    """How long before the view's present a time is, if that is within a day."""
    view: View = context["view"]
    return zones.ago(time, view.now)


def _points(rate: float) -> str:
    """The change of a percentage, in points."""
    return points(rate if rate > _NOISE else 0.0)


def _rounded(value: float) -> str:
    return number(round(value, 2))


def _machine(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _kind(status: str) -> str:
    """The class of a status in the style sheet."""
    return status if status in _KNOWN else "other"


def _plain(value: float) -> str:
    """A number as a URL takes it."""
    return repr(float(value)).removesuffix(".0")


def _head(value: object) -> object:
    """The part of a text that is shown; anything else unchanged."""
    return value[:_LONGEST] if isinstance(value, str) else value


def _cut_off(value: object) -> int:
    """How many characters of a text are not shown."""
    return max(len(value) - _LONGEST, 0) if isinstance(value, str) else 0


def _lines(value: object) -> str:
    """A stored text with its line breaks."""
    return "\n".join(shown(line) for line in str(value).split("\n"))
