"""The dashboard of a seeded log, and what its tests in a browser do there."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin

import httpx2

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests.rows import row
from tests.types import Pool

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page, Response

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCRIPT = "<script>document.title='taken'</script>"
IMAGE = '"><img src=x onerror="document.title=\'taken\'">'
EVIL = f"{SCRIPT}{IMAGE}"
STATUSES = ["ok", "ok", "ok", "error", "ok", "timeout", "ok", "limit", "error", "unheard of"]
OTHER = "other"
EVERY = 11_000  # milliseconds, in which a page refreshes itself once


@dataclass(frozen=True)
class Site:
    """The dashboard of a seeded log, and what was stored there."""

    url: str
    pool: Pool
    now: datetime
    rows: Sequence[StrategyExecutionLog]

    def of(self, strategy_id: str, since: datetime | None = None) -> list[StrategyExecutionLog]:
        """The stored executions of a strategy, since then."""
        begin = self.now - 30 * 24 * HOUR if since is None else since
        return [
            one
            for one in self.rows
            if one.strategy_id == strategy_id and one.created_at and one.created_at >= begin
        ]

    def page(self, page: str = "", **asked: Any) -> str:
        """The path of a page."""
        return f"/{page}?{urlencode(asked)}" if asked else f"/{page}"

    async def store(self, *rows: StrategyExecutionLog) -> None:
        """Stores executions while the pages are looked at."""
        await StrategyExecutionLogRepository(self.pool).insert_rows(rows)


@dataclass
class Heard:
    """What pages do that nobody reads on them."""

    said: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def trace(n: int) -> list[dict[str, Any]]:
    """Three nodes, of which one holds two and one of these another."""
    inner = [{"name": "tier", "ms": 1.5, "result": n}, {"name": "bonus", "ms": 0.5}]
    inner[0]["children"] = [{"name": "points above a hundred", "ms": 1.0}]
    return [
        {"name": "load", "ms": 2.0, "found": {"orders": n}},
        {"name": "decide", "ms": 2.5, "children": inner},
        {"name": "award", "ms": 0.25},
    ]


def seeds(now: datetime) -> Iterator[StrategyExecutionLog]:
    """Twenty hours of three strategies; nothing near the ends of the windows that are picked."""
    for name, count in (("loyalty", 1500), ("loyalty-2", 700), (EVIL, 40)):
        for n in range(count):
            age = MINUTE + n * 20 * HOUR / count
            if any(abs(age - hours * HOUR) < 10 * MINUTE for hours in (2, 6)):
                continue
            status = STATUSES[n * 7 % len(STATUSES)]
            yield row(
                created_at=now - age,
                strategy_id=name,
                strategy_type="DSL_FULL",
                realm_id=["acme", "globex", None][n % 3],
                external_game_id=f"game-{n % 9}",
                external_task_id=f"task-{n}",
                external_user_id=f"user-{n % 70}",
                status=status,
                error_code=_code(name, n) if status == "error" else None,
                case_name=EVIL if name == EVIL else ["gold", "silver", None, "bronze & co"][n % 4],
                duration_ms=[0.0, 0.5, 5.0, 5.0001, 7.25, 33.3, 250.0, 900.0, 6000.5][n * 5 % 9],
                points=[None, -10.0, -4.0, 0.0, 0.1, 2.0, 10.0][n % 7],
                nodes_executed=3 + n % 4,
                trace=[{"name": EVIL, "ms": 1, EVIL: EVIL}] if name == EVIL else trace(n),
                notes=EVIL if name == EVIL else f"note {n}",
                error_message=EVIL if name == EVIL else None,
                attributes={"region": EVIL if name == EVIL else "north", "tries": n},
                input={EVIL: [EVIL, {}]} if name == EVIL else {"orders": n, "lines": [{}]},
                trace_id=n + 1,
            )


def _code(name: str, n: int) -> str:
    return EVIL if name == EVIL else ["E_PROFILE", "E RULE/3?", "E&CO", "é"][n % 4]


@asynccontextmanager
async def opened(chrome: Browser, site: Site, **options: Any) -> AsyncIterator[tuple[Page, Heard]]:
    """A page in a context of its own."""
    heard = Heard()
    still: Any = {"base_url": site.url, "reduced_motion": "reduce"}  # nothing scrolls slowly
    context = await chrome.new_context(**still, **options)
    context.set_default_timeout(10_000)
    context.on("console", lambda message: heard.said.append(message.text))
    context.on("weberror", lambda error: heard.said.append(str(error.error)))
    context.on("request", lambda request: heard.asked.append(request.url))
    context.on("response", lambda answer: heard.answers.append(answer))

    async def dismiss(dialog: Any) -> None:
        heard.dialogs.append(dialog.message)
        await dialog.dismiss()

    context.on("dialog", dismiss)
    try:
        yield await context.new_page(), heard
    finally:
        await context.close()


def all_pages(site: Site, strategy_id: str = "loyalty") -> dict[str, str]:
    """Each page once, by a name for it."""
    run = site.of(strategy_id)[0]
    return {
        "overview": site.page(),
        "strategy": site.page("strategy", id=strategy_id, since="6h"),
        "failures": site.page("executions", status="failed", limit=15),
        "executions": site.page(
            "executions", id=strategy_id, status="failed", min_duration_ms=1, limit=15
        ),
        "breakdown": site.page("breakdown", id=strategy_id, by="error_code", status="failed"),
        "explain": site.page("explain", id=strategy_id, since="6h"),
        "compare": site.page("compare"),
        "compared": site.page("compare", a=strategy_id, b="loyalty-2", since="6h"),
        "execution": site.page("execution", id=run.id),
        "storage": site.page("storage"),
    }


def a_number(text: str) -> int:
    return int(text.replace(",", ""))


async def follow(page: Page, link: Locator) -> None:
    """Clicks, and waits for the page that it leads to."""
    async with page.expect_navigation():
        await link.click()


async def heading(page: Page) -> str:
    return " ".join((await page.locator("h1").inner_text()).split())


async def becomes(found: Callable[[], Any], expected: object) -> None:
    """Waits until what is found is as expected; the assertion shows what it was."""
    last: object = None
    for _ in range(200):
        last = await found()
        if last == expected:
            return
        await asyncio.sleep(0.02)
    assert last == expected


async def listed(client: httpx2.AsyncClient, href: str) -> list[str]:
    """The ids of all executions behind a link, page by page."""
    found: list[str] = []
    url: str | None = f"/{href}{'&' if '?' in href else '?'}limit=80"
    while url is not None:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found += re.findall(r'<a href="execution\?id=([0-9a-f-]{36})', answer.text)
        older = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
        url = urljoin("/", html.unescape(older[1])) if older else None
    assert len(found) == len(set(found))
    return found


def ids(rows: Sequence[StrategyExecutionLog]) -> set[str]:
    return {str(one.id) for one in rows}
