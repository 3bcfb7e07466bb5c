"""The parts of a page: one that is late, or that the server refuses, is left out."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.responses import Response

from execlog.errors import ExeclogError, InvalidArgument
from execlog.web.problems import problem_of
from execlog.web.rendering import render
from execlog.web.view import View

__all__ = ["Parts"]

Answer = TypeVar("Answer")


@dataclass
class Parts:
    """The parts of a page that are missing, with the reason of each.

    Attributes:
        missing: The name and the reason of each.
        errors: Their errors.
        got: How many are there.
    """

    missing: list[str] = field(default_factory=list)
    errors: list[ExeclogError] = field(default_factory=list)
    got: int = 0

    async def take(self, name: str, answer: Awaitable[Answer]) -> Answer | None:
        """The answer; None if it does not come in time. Raises InvalidArgument."""
        try:
            found = await answer
        except InvalidArgument:
            raise
        except ExeclogError as error:
            self.missing.append(f"{name}: {problem_of(error).detail}")
            self.errors.append(error)
            return None
        self.got += 1
        return found

    async def page(self, template: str, view: View, **given: Any) -> Response:
        """The page of the parts that are there. Raises the first error if there are none."""
        if self.errors and not self.got:
            raise self.errors[0]
        return await render(template, view, missing=self.missing, **given)
