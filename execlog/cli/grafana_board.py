"""The dashboard for Grafana, as data: its variables, and its panels with their queries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from execlog.db import validation
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled

__all__ = ["ALL", "TITLE", "board"]

TITLE = "Strategy executions"
ALL = "null"
"""What the queries get for "All": it is sent as it is, while each chosen value is quoted."""

_TYPE = "grafana-postgresql-datasource"
_SOURCE = {"type": _TYPE, "uid": "${datasource}"}
_COLOURS = {
    "ok": "green",
    "error": "red",
    "timeout": "orange",
    "limit": "yellow",
    "other": "purple",
}
_LINES = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 0, "showPoints": "auto"}
_BARS = {
    "drawStyle": "bars",
    "lineWidth": 0,
    "fillOpacity": 70,
    "stacking": {"mode": "normal", "group": "A"},
}


@dataclass(frozen=True)
class _Panel:
    """A panel: what it shows, of which file in sql/grafana, and where on 24 columns."""

    title: str
    query: str
    kind: str
    place: tuple[int, int, int, int]
    unit: str
    about: str
    custom: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    most: float | None = None


_PANELS = (
    _Panel(
        "Runs by version",
        "runs_by_version",
        "timeseries",
        (0, 0, 12, 9),
        "short",
        "Stored runs. The 20 versions with the most runs, the others as one.",
        _BARS,
    ),
    _Panel(
        "Error rate by version",
        "error_rate_by_version",
        "timeseries",
        (12, 0, 12, 9),
        "percentunit",
        "Share of error, timeout and limit; a row weighs 1/sample_rate. The 20 versions with the"
        " most of them, the others as one.",
        _LINES,
        most=1,
    ),
    _Panel(
        "Duration",
        "duration_percentiles",
        "timeseries",
        (0, 9, 12, 9),
        "ms",
        "Percentiles of all chosen runs, each at most 1 % off; a row weighs 1/sample_rate.",
        _LINES,
    ),
    _Panel(
        "Outcomes",
        "status_mix",
        "timeseries",
        (12, 9, 12, 9),
        "short",
        "Stored runs by status.",
        _BARS,
        colours=_COLOURS,
    ),
    _Panel(
        "Top errors",
        "top_errors",
        "table",
        (0, 18, 9, 10),
        "none",
        "Stored runs by error code, the 50 most frequent.",
        units={"runs": "short"},
    ),
    _Panel(
        "Newest failures",
        "newest_failures",
        "table",
        (9, 18, 15, 10),
        "none",
        "The 50 newest runs that are not ok. `execlog show ID` prints one.",
        units={"duration": "ms"},
    ),
    _Panel(
        "Recorders",
        "recorders",
        "stat",
        (0, 28, 24, 5),
        "short",
        "What recorders were offered in the hours of the window, and how it ended: of all realms,"
        " strategies and versions. No data: no recorder, or a role that sees one realm only.",
        colours={"dropped": "red", "open recorders": "orange", "missing at most": "red"},
    ),
)


def board(*, title: str = TITLE, schema: str = SCHEMA) -> dict[str, Any]:
    """The dashboard's JSON model, for import and for provisioning.

    Args:
        title: Its title.
        schema: The schema of the log. A dashboard of another schema has a uid of its own.

    Raises:
        InvalidArgument: `title` is empty, or `schema` can't be a name.
        QueryFileError: The install lacks the folder of the queries.
    """
    name = validation.name("title", title)
    where = validation.schema(schema)
    return {
        "uid": _uid(where),
        "title": name,
        "tags": ["execlog"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(_variables(where))},
        "panels": [_panel(number, one, where) for number, one in enumerate(_PANELS, start=1)],
    }


def _uid(schema: str) -> str:
    """At most 40 characters, of which Grafana takes letters, digits, - and _."""
    if schema == SCHEMA:
        return SCHEMA
    return f"{SCHEMA}-{hashlib.sha256(schema.encode()).hexdigest()[:16]}"


def _sql(name: str, schema: str) -> str:
    return filled((folder("sql") / "grafana" / f"{name}.sql").read_text(), schema)


def _variables(schema: str) -> Iterator[dict[str, Any]]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": _TYPE,
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "current": {},
        "options": [],
    }
    # In this order: the strategies offered are those of the chosen realms, and so on.
    for name, query in (("realm", "realms"), ("strategy", "strategies"), ("version", "versions")):
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": _SOURCE,
            "query": _sql(query, schema),
            "regex": "",
            "refresh": 2,  # when the window changes
            "sort": 0,
            "hide": 0,
            "multi": True,
            "includeAll": True,
            "allValue": ALL,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            "options": [],
        }


def _panel(number: int, one: _Panel, schema: str) -> dict[str, Any]:
    x, y, width, height = one.place
    is_series = one.kind == "timeseries"
    made = {
        "id": number,
        "title": one.title,
        "description": one.about,
        "type": one.kind,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "targets": [
            {
                "refId": "A",
                "datasource": _SOURCE,
                "format": "time_series" if is_series else "table",
                "rawQuery": True,
                "editorMode": "code",
                "rawSql": _sql(one.query, schema),
            }
        ],
        "fieldConfig": {"defaults": _defaults(one), "overrides": _overrides(one)},
        "options": _OPTIONS[one.kind],
    }
    if is_series:
        # Points are whole minutes, which rollups hold.
        made |= {"interval": "1m", "maxDataPoints": 120}
    return made


def _defaults(one: _Panel) -> dict[str, Any]:
    ends = {} if one.most is None else {"min": 0, "max": one.most}
    return {"unit": one.unit, "custom": dict(one.custom), **ends}


def _overrides(one: _Panel) -> list[dict[str, Any]]:
    colours = {
        name: {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
        for name, colour in one.colours.items()
    }
    units = {name: {"id": "unit", "value": unit} for name, unit in one.units.items()}
    return [
        {"matcher": {"id": "byName", "options": name}, "properties": [changed]}
        for name, changed in {**colours, **units}.items()
    ]


_LEGEND: Mapping[str, Any] = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_REDUCED: Mapping[str, Any] = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value_and_name",
        "orientation": "auto",
        "reduceOptions": _REDUCED,
    },
}
