"""The throwaway Postgres of the test suite: whose it is, and which.

In this order: the server in `EXECLOG_TEST_DSN`; a container, where a Docker engine answers and has
the image (`EXECLOG_TEST_IMAGE`, postgres:18); the embedded server. `EXECLOG_TEST_SERVER` set to
`dsn`, `container` or `embedded` allows that one only, so that a run can't pass on another.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_REAPER = "testcontainers/ryuk"
_ROOM = 8 * 1024**3


@dataclass(frozen=True)
class Server:
    """Where the tests run: a DSN with the right to create databases, and its kind in words."""

    dsn: str
    kind: str


class Unavailable(Exception):
    """This kind of server can't be had; the text says why."""


@contextmanager
def started() -> Iterator[Server]:
    """Starts the first server that can be had. Raises Unavailable, which says why none can."""
    only = os.environ.get("EXECLOG_TEST_SERVER")
    reasons = []
    with ExitStack() as stack:
        for kind, start in _KINDS.items():
            if only and only != kind:
                continue
            try:
                server = start(stack)
            except Unavailable as reason:
                reasons.append(f"{kind}: {reason}")
            else:
                yield server
                return
            _bury_sockets()
    raise Unavailable("no Postgres for the tests; " + "; ".join(reasons or [f"no kind {only!r}"]))


def _bury_sockets() -> None:
    """The Docker client leaves a socket open where no engine answers: now, and in no test later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _own(_: ExitStack) -> Server:
    dsn = os.environ.get("EXECLOG_TEST_DSN")
    if not dsn:
        raise Unavailable("EXECLOG_TEST_DSN is not set")
    return Server(dsn, "the server in EXECLOG_TEST_DSN")


def _container(stack: ExitStack) -> Server:
    import docker
    from docker.errors import DockerException

    image = os.environ.get("EXECLOG_TEST_IMAGE", "postgres:18")
    try:
        engine = docker.from_env(timeout=3)
        stack.callback(engine.close)
        engine.ping()
        engine.images.get(image)  # no pull by surprise
        tags = [tag for found in engine.images.list() for tag in found.tags]
    except DockerException as error:
        raise Unavailable(f"{type(error).__name__} (engine or image {image})") from error
    if not any(_REAPER in tag for tag in tags):
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    # Inside a container testcontainers would hand out the bridge's address: stay on loopback.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(image, driver=None)
    container.with_command(
        "postgres -c fsync=off -c full_page_writes=off -c max_prepared_transactions=10"
    )
    stack.enter_context(container)
    return Server(container.get_connection_url(), f"container {image}")


def _embedded(stack: ExitStack) -> Server:
    from execlog.embedded import EmbeddedPostgres
    from execlog.errors import StoreUnavailable

    try:
        with _in_memory():
            server = stack.enter_context(
                EmbeddedPostgres(settings={"max_prepared_transactions": "10"})
            )
    except StoreUnavailable as error:
        raise Unavailable(str(error)) from error
    return Server(server.dsn, "embedded server")


@contextmanager
def _in_memory() -> Iterator[None]:
    """The server's folder is in memory, if there is room: databases take half the time there."""
    before = tempfile.tempdir
    folder = Path("/dev/shm")
    if folder.is_dir() and shutil.disk_usage(folder).free > _ROOM:
        tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


_KINDS: dict[str, Callable[[ExitStack], Server]] = {
    "dsn": _own,
    "container": _container,
    "embedded": _embedded,
}
