"""Fixtures of the tests in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import httpx2
import pytest

from execlog.web import create_app
from tests import databases
from tests.types import Pool
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import Site, opened, seeds
from tests.web.varied import executions

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


@pytest.fixture(scope="module")
async def site(template: str) -> AsyncIterator[Site]:
    now = datetime.now(UTC)
    rows = list(seeds(now))
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=8) as pool,
        served(create_app(pool)) as url,
    ):
        found = Site(url, pool, now, rows)
        await found.store(*rows)
        yield found


@pytest.fixture(scope="module")
async def varied(template: str) -> AsyncIterator[Pool]:
    """A log of executions that differ in all that a filter may be by."""
    async with databases.filled(template, executions()) as pool:
        yield pool


@pytest.fixture(scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with web.browser() as found:
        yield found


@pytest.fixture
async def page(chrome: Browser, site: Site) -> AsyncIterator[Page]:
    """A page that has nothing to complain of, and asks nobody else, whatever a test does."""
    async with opened(chrome, site) as (found, heard):
        yield found
        assert heard.said == []
        assert heard.dialogs == []
        assert {url for url in heard.asked if not url.startswith(f"{site.url}/")} == set()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=site.url) as asking:
        yield asking
