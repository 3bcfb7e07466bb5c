"""Times are shown, and read, in the zone that the viewer chooses; UTC without one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import httpx2
import pytest
from starlette.requests import Request

from execlog import InvalidArgument
from execlog.web import Scope, queries, zones
from execlog.web.axes import times
from execlog.web.view import View
from tests.web import browser as web
from tests.web.site import EVIL, Site, all_pages, follow, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
_TIME = re.compile(r'<time datetime="([^"]+)">([^<]+)</time>')


def _request(query: str) -> Request:
    scope = {"type": "http", "query_string": query.encode(), "execlog.scope": Scope()}
    return Request(scope)


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("", "2026-11-24T13:00", "2026-11-24T13:00Z"),
        ("UTC", "2026-11-24T13:00", "2026-11-24T13:00Z"),
        ("Europe/Berlin", "2026-11-24T13:00", "2026-11-24T12:00Z"),
        ("Europe/Berlin", "2026-11-24", "2026-11-23T23:00Z"),
        ("Europe/Berlin", "2026-11-24T13:00Z", "2026-11-24T13:00Z"),
        ("Europe/Berlin", "2026-11-24T13:00+05:30", "2026-11-24T07:30Z"),
        ("Asia/Kolkata", "2026-07-01T00:00", "2026-06-30T18:30Z"),
        # The clocks skip this time: as if they had not.
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:30Z"),
        # And repeat this one: the first.
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30Z"),
    ],
)
def test_a_time_without_an_offset_is_of_the_zone(zone: str, text: str, expected: str) -> None:
    asked = queries.query(
        queries.ExecutionsPage, _request(f"since={text.replace('+', '%2B')}&zone={zone}")
    )
    assert asked.since == datetime.fromisoformat(expected)
    assert asked.since is not None
    assert asked.since.tzinfo is UTC  # lengths between times of a zone are those of its clocks


@pytest.mark.parametrize(
    "name",
    ["Nowhere", "Europe", "../../etc/passwd", "/etc/localtime", "a\0b", "é", "x" * 300, EVIL],
)
def test_a_zone_that_is_none_is_named(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        zones.zone_of(name)
    assert caught.value.argument == "zone"
    assert str(caught.value) == 'zone: is no time zone such as "Europe/Berlin"'


def test_a_time_as_it_is_shown() -> None:
    now = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
    just = now - timedelta(minutes=3, seconds=59)
    assert zones.clock(just, UTC, now) == "23:26:01"
    assert zones.clock(just, BERLIN, now) == "00:26:01"
    early = now - timedelta(hours=1)  # of the day before, in Berlin
    assert zones.clock(early, BERLIN, now) == "2026-11-28 23:30:00"
    assert zones.clock(early, UTC, now, "%Y") == "2026"
    ages = {0: "0 s", 59: "59 s", 60: "1 min", 3599: "59 min", 3600: "1 h", 86_399: "23 h"}
    for seconds, words in ages.items():
        assert zones.ago(now - timedelta(seconds=seconds), now) == f"{words} ago"
    for seconds in (-1, 86_400):
        assert zones.ago(now - timedelta(seconds=seconds), now) == ""
    # The ends of the calendar, as they are in UTC.
    for end in (datetime.max, datetime.min):
        for zone in (KOLKATA, ZoneInfo("America/New_York")):
            assert zones.clock(end.replace(tzinfo=UTC), zone, now)[:2] in ("99", "00")


def _labels(begin: str, minutes: int, count: int, zone: Any) -> list[tuple[str, str]]:
    start, width = datetime.fromisoformat(begin), timedelta(minutes=minutes)
    buckets = [SimpleNamespace(start=start + n * width) for n in range(count)]
    return [(mark.at, mark.label) for mark in times(cast(Any, buckets), zone)]


def test_labels_below_a_chart_are_round_in_the_zone() -> None:
    day = _labels("2026-11-24T00:00Z", 30, 48, KOLKATA)
    assert day == [
        ("2.083%", "06:00"),
        ("27.08%", "12:00"),
        ("52.08%", "18:00"),
        ("77.08%", "Nov 25"),
    ]
    # Spring: two o'clock is none. Autumn: it is twice, and each day is once.
    spring = _labels("2026-03-29T00:31Z", 1, 60, BERLIN)
    assert [label for _, label in spring] == ["01:45", "03:00", "03:15", "03:30"]
    autumn = _labels("2026-10-24T20:00Z", 60, 96, BERLIN)
    assert [label for _, label in autumn] == ["Oct 25", "Oct 26", "Oct 27", "Oct 28"]
    assert [at for at, _ in autumn] == ["2.083%", "28.12%", "53.12%", "78.12%"]


async def test_every_time_of_every_page_is_of_the_zone(
    client: httpx2.AsyncClient, site: Site
) -> None:
    """What follows no zone would be hours off here; each link keeps it."""
    for name, path in all_pages(site).items():
        mark = "&" if "?" in path else "?"
        answer = await client.get(f"{path}{mark}zone=Asia/Kolkata")
        assert answer.status_code == 200, answer.text
        text = answer.text
        found = _TIME.findall(text)
        assert found or name in ("compare", "explain", "storage"), name
        for iso, shown in found:
            time = datetime.fromisoformat(iso)
            assert iso.endswith("Z")
            here = f"{time.astimezone(KOLKATA):%Y-%m-%d %H:%M:%S}"
            assert shown.partition(".")[0] in (here, here[11:]), name
        assert "All times are in Asia/Kolkata." in text
        assert "UTC" not in text.partition("<main")[2].partition("</main>")[0].replace(
            'placeholder="UTC"', ""
        ), name
        for link, label in re.findall(r'<a [^>]*href="([^"#]*)"[^>]*>(.*?)</a>', text, re.S):
            if link.startswith(("api/executions/", "api/openapi")) or label == "Show times in UTC":
                continue
            assert "zone=Asia%2FKolkata" in link, link
        for form in re.findall(r"<form[^>]*>(.*?)</form>", text, re.S):
            assert 'name="zone" value="Asia/Kolkata"' in form, name


async def test_utc_is_left_out(client: httpx2.AsyncClient, site: Site) -> None:
    for zone in ("", "UTC", "utc", "Etc/UTC"):
        text = (await client.get("/", params={"zone": zone})).text
        assert "All times are UTC." in text
        assert not re.search(r"[?;]zone=(?!ZONE)", text)
    answer = await client.get("/", params={"zone": "Nowhere"})
    assert answer.status_code == 400
    assert "zone" in answer.text


def test_another_zone_keeps_the_times() -> None:
    """Though the text of one without an offset would mean another there."""
    request = _request("since=2026-11-24T13:00&until=2026-11-24T15:00%2B01:00&zone=Asia/Kolkata")
    asked = queries.query(queries.StoragePage, request)
    view = View.of(request, "strategy", asked.since, asked.until)
    assert view.zoned("Europe/Berlin") == (
        "strategy?since=20261124T073000Z&until=20261124T140000Z&zone=Europe%2FBerlin"
    )
    assert "zone" not in view.zoned(None)
    length = _request("since=2h")
    assert View.of(length, "", datetime.now(UTC), None).zoned("UTC") == "./?since=2h&zone=UTC"


@web.needed
@pytest.mark.long
async def test_the_browsers_zone_is_one_click_away(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site, timezone_id="Europe/Berlin") as (page, heard):
        await page.goto(site.page("executions", id="loyalty", since="2h"))
        await follow(page, page.get_by_role("link", name="Show times in Europe/Berlin"))
        assert page.url.endswith("/executions?id=loyalty&since=2h&zone=Europe%2FBerlin")
        shown = page.locator("#rows time").first
        time = datetime.fromisoformat(await shown.get_attribute("datetime") or "")
        assert (await shown.inner_text()).endswith(f"{time.astimezone(BERLIN):%H:%M:%S}")
        assert await page.get_by_role("link", name="Show times in Europe").count() == 0
        await page.get_by_text("Other window or realm").click()
        assert await page.get_by_label("Time zone").input_value() == "Europe/Berlin"
        await page.get_by_label("Time zone").fill("Asia/Kolkata")
        await follow(page, page.get_by_role("button", name="Show"))
        assert "zone=Asia%2FKolkata" in page.url
        await follow(page, page.get_by_role("link", name="Show times in UTC"))
        assert "zone" not in page.url
        assert heard.said == []
