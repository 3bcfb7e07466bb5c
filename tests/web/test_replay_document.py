"""The file of a replay: it needs nothing else, runs nothing, and can be read by all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import execlog.web
from execlog import Replay
from execlog.web.replayed import replay_document
from tests import replays
from tests.web import browser as web

if TYPE_CHECKING:
    from playwright.async_api import Browser

ICONS = {"#i-ok", "#i-error", "#i-timeout", "#i-limit", "#i-other"}
FOREIGN = r"<script|<link|<img|<iframe|@import|url\(|src=|\son\w+=|https?:"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\u202e&#39;&#34;&amp;"
KINDS = {
    "sampled": replays.sampled(),
    "exact": replays.exact(),
    "empty": replays.empty(),
    "evil": replays.evil(),
}
WEB = Path(execlog.web.__file__).parent


def texts(document: str) -> str:
    """What a reader reads, but for the tags and the spaces between words."""
    body = re.sub(r"<style>.*?</style>|<[^>]*>", " ", document, flags=re.DOTALL)
    return " ".join(body.split())


def test_the_verdict_is_first_and_all_else_follows() -> None:
    filters = {"realm_id": "acme", "strategy_version": [4]}
    said = texts(replay_document(replays.sampled(), filters=filters, limit=0.01))
    order = [
        "520 of 20,000 runs are decided differently, and 12 of them fail newly.",
        "1.87 % changed or fail newly: over the limit of 1 %",
        "20,000 of 1,204,311 runs replayed (all 312 that failed, the rest drawn by case).",
        "-1.8 % [-2.1, -1.5]",
        "What differs",
        "timeout gold 117",
        "Users who lose most",
        "Newly failing 2 of 12",
        "ZeroDivisionError: division by zero",
        "Slower or faster",
        "p50 1.17 times the baseline",
        "be replayed Reason Runs No input",
        "What was replayed, and how",
        "rules.v4:evaluate",
        "2026-11-28 12:00:00",
        "realm id acme",
        "strategy version 4",
        "20,000 asked for, of 1,203,107",
    ]
    places = [said.index(one) for one in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("found", "limit", "level"),
    [
        (replays.exact(), None, "same"),
        (replays.exact(changed=3), 0.5, "other"),
        (replays.exact(newly_passing=3), None, "other"),
        (replays.exact(newly_failing=1), None, "worse"),
        (replays.sampled(newly_failing=0), 0.01, "worse"),
        (replays.empty(), 0.01, "other"),
    ],
)
def test_the_colour_of_a_verdict(found: Replay, limit: float | None, level: str) -> None:
    assert f'<header class="{level}">' in replay_document(found, limit=limit)


@pytest.mark.parametrize("kind", KINDS)
def test_it_needs_no_other_file_and_no_script(kind: str) -> None:
    document = replay_document(KINDS[kind])
    assert not re.findall(FOREIGN, document)
    assert set(re.findall(r'href="([^"]*)"', document)) <= ICONS
    assert "default-src 'none'" in document


def test_text_of_the_log_is_text() -> None:
    document = replay_document(replays.evil(), filters={"case_name": replays.EVIL})
    assert document.count(SHOWN) > 10
    assert not {"\x1b", "\u202e"} & set(document)


def test_its_colours_are_those_of_the_pages() -> None:
    sheets = [(WEB / name).read_text() for name in ("static/execlog.css", "templates/replay.css")]
    pages, own = (set(re.findall(r"(--[a-z]+: #\w+);", sheet)) for sheet in sheets)
    names = {one for one in own if not one.startswith(("--same", "--hit"))}
    assert names <= pages
    assert len(names) > 20


@pytest.mark.long
@web.needed
@pytest.mark.parametrize("width", [1280, 375])
async def test_all_can_read_it(chrome: Browser, tmp_path: Path, width: int) -> None:
    """What axe-core finds, by day and by night, and whether it is wider than the screen."""
    found = []
    context = await chrome.new_context(viewport={"width": width, "height": 900})
    page = await context.new_page()
    for kind, replay in KINDS.items():
        path = tmp_path / f"{kind}.html"
        path.write_text(replay_document(replay, limit=0.01))
        await page.goto(path.as_uri())
        taken = await page.evaluate("document.documentElement.scrollWidth")
        if taken > width:
            found.append(f"{kind}: is {taken} pixels wide")
        found += [f"{kind}: {line}" for line in await web.violations(page)]
        await page.emulate_media(color_scheme="dark")
        found += [f"{kind}, dark: {line}" for line in await web.violations(page, web.COLOURS)]
        await page.emulate_media(color_scheme="light")
    await context.close()
    assert found == []
