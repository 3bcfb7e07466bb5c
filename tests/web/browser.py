"""A headless Chromium for tests of pages, and axe-core to find what a page bars people from.

The browser is the machine's own: `EXECLOG_TEST_CHROMIUM`, or a Chromium or Chrome on the PATH.
It reaches nothing but loopback, and what it writes is gone when it closes.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests import extras

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["COLOURS", "TAGS", "browser", "chromium", "missing", "needed", "violations"]

_VARIABLE = "EXECLOG_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
    # All else is a port of loopback that refuses: "~NOTFOUND" would have Chromium ask a DNS server
    # for google.com, to tell on its page of errors whose fault it is.
    "--host-resolver-rules=MAP * 127.0.0.1:9, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
)
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
COLOURS = ("wcag141", "wcag143")
_RUN = """async tags => {
    const {violations} = await axe.run(document, {
        runOnly: {type: "tag", values: tags},
        rules: {"target-size": {enabled: true}},
        resultTypes: ["violations"],
    });
    return violations.flatMap(
        ({id, impact, help, nodes}) => nodes.map(node => `${id} (${impact}): ${help}: ${node.html}`)
    );
}"""


def chromium() -> str | None:
    """The browser's program, or `None` where there is none."""
    if wanted := os.environ.get(_VARIABLE):
        return shutil.which(wanted)
    return next(filter(None, map(shutil.which, _NAMES)), None)


def missing() -> str | None:
    """Why there can be no tests in a browser here, or `None` where there can."""
    if reason := extras.missing("playwright", "axe_playwright_python"):
        return reason
    if chromium() is None:
        if wanted := os.environ.get(_VARIABLE):
            return f"{_VARIABLE} names no program: {wanted}"
        return f"no {', '.join(_NAMES)} on the PATH, and no {_VARIABLE}"
    return None


_MISSING = missing()
needed = pytest.mark.skipif(_MISSING is not None, reason=_MISSING or "")
"""Marks what is left out if there can be no tests in a browser here."""


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser of one's own, to take contexts and pages from."""
    if reason := missing():
        raise RuntimeError(reason)
    from playwright.async_api import async_playwright

    # Not below a long TMPDIR: a socket's path has 107 characters.
    with tempfile.TemporaryDirectory(
        prefix="execlog-browser-", dir="/tmp", ignore_cleanup_errors=True
    ) as home:
        async with async_playwright() as playwright:
            started = await playwright.chromium.launch(
                executable_path=chromium(),
                args=_ARGUMENTS,
                chromium_sandbox=False,  # root has none
                env={"HOME": home, "PATH": os.environ.get("PATH", os.defpath), "TMPDIR": home},
            )
            try:
                yield started
            finally:
                await started.close()


async def violations(page: Page, tags: Sequence[str] = TAGS) -> list[str]:
    """What axe-core holds against the page as it is now, a line for each rule and element.

    The script is evaluated by the debugger, which no Content-Security-Policy of the page bars.

    Args:
        page: The page; what is hidden there is not looked at.
        tags: Which rules: those with one of these.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found: list[str] = await page.evaluate(_RUN, list(tags))
    return [" ".join(line.split()) for line in found]


@functools.cache
def _axe() -> str:
    folder = importlib.resources.files("axe_playwright_python")
    return folder.joinpath("axe.min.js").read_text(encoding="utf-8")
