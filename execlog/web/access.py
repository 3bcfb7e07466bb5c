"""What a request may see: its scope, and the headers that keep a page private.

Without `authorize` an application uses the one of `execlog.web.loopback`.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

from execlog.db import validation
from execlog.errors import InvalidArgument

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as Connection

__all__ = [
    "ROOT",
    "Authorize",
    "Guard",
    "Scope",
    "scope_of",
    "with_token",
]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SHORTEST_TOKEN = 16
ROOT = "execlog.root"
"""The key of a request's scope that holds the path where the application is mounted."""

_KEY = "execlog.scope"


@dataclass(frozen=True)
class Scope:
    """What a request may see: executions of these realms, and of these strategies; None: of all.

    Without `inputs` what strategies were given is left out, and of a trace everything but names
    and times of its nodes: pages and answers of the API lack them.

    If either is limited, the log itself (sizes, partitions) is not shown. Two facts about others
    show through: percentiles are exact if all tenants together have few runs in a window, and
    sketched if they have many; and pages say until when runs, of whichever tenant, are in files.

    Raises:
        InvalidArgument: One of them is not a collection of texts, or `inputs` is no boolean.
    """

    realms: Collection[str] | None = None
    strategies: Collection[str] | None = None
    inputs: bool = False

    def __post_init__(self) -> None:
        """Checks and sorts them. Raises: see the class."""
        validation.flag("inputs", self.inputs)
        for name in ("realms", "strategies"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, str | bytes) or not isinstance(value, Collection):
                raise InvalidArgument(name, "must be a list of texts, or None")
            texts = frozenset(validation.text(name, one) for one in value)
            object.__setattr__(self, name, tuple(sorted(texts)))

    @property
    def is_whole(self) -> bool:
        """Whether it includes everything. Never raises."""
        return self.realms is None and self.strategies is None

    def realm(self, wanted: str | None) -> Collection[str] | None:
        """The realms to query: those of the scope, or the wanted one of them.

        Raises:
            HTTPException: 403, the scope does not include the wanted one.
        """
        if wanted is None:
            return self.realms
        if self.realms is not None and wanted not in self.realms:
            raise HTTPException(403, "This realm is not yours to see.")
        return (wanted,)

    def strategy(self, wanted: str) -> str:
        """The strategy that is wanted. Raises HTTPException: 403, it is not in the scope."""
        if self.strategies is not None and wanted not in self.strategies:
            raise HTTPException(403, "This strategy is not yours to see.")
        return wanted

    def sees(self, strategy_id: str, realm_id: str | None) -> bool:
        """Whether the scope includes an execution of these. Never raises."""
        return (self.realms is None or realm_id in self.realms) and (
            self.strategies is None or strategy_id in self.strategies
        )


Authorize = Callable[[Request], Scope | Awaitable[Scope | None] | None]
"""Returns what a request may see; if it may see nothing, None, or raises an HTTPException."""


def scope_of(request: Request) -> Scope:
    """The scope that `Guard` found for this request. Never raises behind a `Guard`."""
    found: Scope = request.scope[_KEY]
    return found


def with_token(token: str) -> Authorize:
    """Everything, to a bearer of the token, and to a browser that sends it as its password.

    Inputs are included.

    Raises:
        InvalidArgument: It is no text, or shorter than 16 characters, which can be guessed.
    """
    known = validation.name("token", token).encode()
    if len(token) < _SHORTEST_TOKEN:
        raise InvalidArgument("token", f"is shorter than {_SHORTEST_TOKEN} characters")

    def authorize(request: Request) -> Scope:
        given = _given_token(request.headers.get("authorization", ""))
        if given is None or not secrets.compare_digest(given, known):
            challenge = {"WWW-Authenticate": 'Basic realm="execlog", charset="UTF-8"'}
            raise HTTPException(401, "The token is missing or wrong.", challenge)
        return Scope(inputs=True)

    return authorize


class Guard:
    """Lets a request through with its scope, and gives each answer its headers.

    Args:
        app: The application that is guarded.
        authorize: Returns what a request may see.
        refuse: Makes the answer to a request that may see nothing, or that failed.
    """

    def __init__(
        self,
        app: ASGIApp,
        authorize: Authorize,
        refuse: Callable[[Request, Exception], ASGIApp],
    ) -> None:
        """Takes the parts. Never raises."""
        self._app = app
        self._authorize = authorize
        self._refuse = refuse

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Answers one request. Raises as the application does."""
        if connection["type"] != "http":
            await self._app(connection, receive, send)
            return

        begun = False
        connection[ROOT] = connection.get("root_path", "")

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = Request(connection, receive)
        try:
            answer = await self._answer(request)
            await answer(connection, receive, sent)
        except Exception as error:
            if not begun:
                await self._refuse(request, error)(connection, receive, sent)
            raise

    async def _answer(self, request: Request) -> ASGIApp:
        """The application, or a refusal."""
        try:
            request.scope[_KEY] = await self._scope(request)
        except HTTPException as refusal:
            return self._refuse(request, refusal)
        return self._app

    async def _scope(self, request: Request) -> Scope:
        found = self._authorize(request)
        if inspect.isawaitable(found):
            found = await found
        if not isinstance(found, Scope):
            # Any other value (True, a user) does not say what may be seen.
            raise HTTPException(403, "You may not see this log from here.")
        return found


def _given_token(authorization: str) -> bytes | None:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip().encode("latin-1")  # the bytes that were sent
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return None
    return None
