"""No page has a phrase that is no English."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

import execlog.web
from tests.web.site import Site, all_pages

BANNED = ("Than before", "B is", "a stored run", "clock as here", "here we may only read")
_STATIC = Path(execlog.web.__file__).parent / "static"


def _banned(text: str) -> list[str]:
    """The phrases in a page's text, tags left out, in whatever case its style shows them."""
    words = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    return [one for one in BANNED if re.search(rf"\b{re.escape(one)}\b", words)]


def test_a_phrase_is_found_as_whole_words() -> None:
    assert _banned("<p>p99: B <b>is</b>\n faster</p>") == ["B is"]
    assert _banned("<p>CB is, B island</p>") == []


async def test_no_page_has_one(client: httpx2.AsyncClient, site: Site) -> None:
    for name, path in all_pages(site).items():
        answer = await client.get(path)
        assert answer.status_code == 200
        assert [f"{name}: {one}" for one in _banned(answer.text)] == []
    problem = await client.get("/no/such/page")
    assert _banned(problem.text) == []


def test_no_script_has_one() -> None:
    scripts = sorted(_STATIC.glob("*.js"))
    assert scripts
    for script in scripts:
        assert _banned(script.read_text()) == [], script.name
