"""Pages say better or worse only of what is significant, else how few runs it is beside."""

from __future__ import annotations

import html
import random
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.rows import T0, row
from tests.types import Pool
from tests.web.test_api import client

HOUR = timedelta(hours=1)
WINDOW = {"since": T0.isoformat(), "until": (T0 + HOUR - timedelta(microseconds=1)).isoformat()}
# The error rate of each strategy before and in the window.
RATES = {"steady-1": (0.1, 0.1), "steady-2": (0.1, 0.1), "broke": (0.02, 0.2), "mended": (0.3, 0.1)}


def seeds() -> Iterator[StrategyExecutionLog]:
    dice = random.Random(8)
    for name, rates in RATES.items():
        for n in range(-1800, 1800):
            failed = dice.random() < rates[n >= 0]
            yield row(
                strategy_id=name,
                created_at=T0 + n * timedelta(seconds=2),
                status="error" if failed else "ok",
                realm_id="acme" if name != "broke" or n % 2 else "globex",
                duration_ms=dice.lognormvariate(2, 0.3) * (2 if name == "broke" and n >= 0 else 1),
            )
    # Broke too, beside a few runs of the day before.
    for n in range(-40, 900):
        status = "error" if n >= 0 and n % 3 else "ok"
        yield row(strategy_id="few", created_at=T0 + n * timedelta(seconds=3), status=status)


@pytest.fixture
async def api(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> AsyncIterator[httpx2.AsyncClient]:
    await repository.insert_rows(seeds())
    async with client(create_app(pool)) as asking:
        yield asking


async def text(api: httpx2.AsyncClient, path: str, **given: Any) -> str:
    found = await api.get(path, params={**WINDOW, **given})
    assert found.status_code == 200
    assert "server" not in found.text.partition('class="missing"')[2][:200]
    return found.text


def words(part: str) -> str:
    part = re.sub(r'<small class="ago">[^<]*</small>', "", part)  # true for a second
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


async def test_each_page_says_what_is_more_than_chance(api: httpx2.AsyncClient) -> None:
    overview = (await text(api, "/")).partition('class="ranks ')[2].partition("</table>")[0]
    cells = {
        words(one.partition(">")[2].partition("<td")[0]): words(
            one.partition('data-name="Change">')[2].partition("<td")[0]
        )
        for one in overview.partition("<tbody>")[2].split("<tr")[1:]
    }
    assert cells["broke"].endswith(" worse Why?")
    assert cells["mended"].endswith(" better Why?")
    assert cells["few"].endswith(" too few runs (40 runs before)")
    for name in ("steady-1", "steady-2"):
        assert cells[name].endswith(" not significant (1,800 runs before)")
    cards = (await text(api, "/strategy", id="broke")).partition('id="cards"')[2]
    cards = cards.partition("</section>")[0]
    assert len(re.findall('class="worse"', cards)) == 4
    page = await text(api, "/strategy", id="broke")
    why = words(page.partition('id="why"')[2].partition("</section>")[0])
    assert "Error rate rose from " in why and " values of " in why
    assert page.count('<line class="step"') in (0, 3)
    assert page.count('<rect class="step"') == page.count('<line class="step"')
    assert (", since " in why) == ('class="step"' in page)
    assert 'id="why"' not in await text(api, "/strategy", id="steady-1")
    cards = (await text(api, "/strategy", id="steady-1")).partition('id="cards"')[2]
    assert 'class="worse"' not in cards
    assert 'class="better"' not in cards
    both = await text(api, "/compare", a="steady-1", b="broke")
    deltas = both.partition('id="deltas"')[2].partition("</section>")[0]
    assert len(re.findall('class="worse"', deltas)) == 4
    assert " points higher in B worse " in words(deltas)
    both = await text(api, "/compare", a="steady-1", b="steady-2")
    assert "not significant (1,800 runs in A)" in words(both)


@pytest.mark.long
async def test_a_scope_gets_verdicts_of_its_own_rows(api: httpx2.AsyncClient, pool: Pool) -> None:
    """A tenant's page is the same whether or not others have runs."""
    pages = await seen_by_acme(pool)
    await pool.execute(
        "delete from execlog.strategy_execution_log where realm_id is distinct from 'acme'"
    )
    for one, other in zip(pages, await seen_by_acme(pool), strict=True):
        assert main_of(one) == main_of(other)


async def seen_by_acme(pool: Pool) -> list[str]:
    """The pages of an application that has kept nothing yet."""
    app = create_app(pool, authorize=lambda request: Scope(realms=["acme"]))
    both = {"a": "broke", "b": "steady-1", "b_realm": "acme"}
    async with client(app) as own:
        pages = [await text(own, "/"), await text(own, "/strategy", id="broke")]
        return [*pages, await text(own, "/compare", **both)]


def main_of(page: str) -> str:
    """What it says, but for the times at which it was asked for."""
    said = words(page.partition("<main")[2].partition("</main>")[0])
    return re.sub(r" [Aa]s of [\d:-]+( [\d:]+)?", "", said)
