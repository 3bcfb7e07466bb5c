"""Runs one Postgres server for exactly as long as the process that asked for it lives.

Started as a script (never imported) by `execlog.embedded`, with the standard library alone. It
reads one JSON line of instructions, makes the cluster, starts `postgres` in the foreground and
answers one JSON line. Then it waits: for the end of its standard input, for another parent (the
first one is gone, even by `kill -9`) or for the server's own end. Whichever comes first, it stops
the server and removes what it was told to remove.

It runs in a session of its own, so a Ctrl-C in the terminal ends the asker, not the server
underneath a query that is still being cleaned up.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Order = dict[str, Any]
"""What `EmbeddedPostgres` asks for."""

_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0


class _Failed(Exception):
    """The server can't be had; the text says why."""


def main() -> None:
    """Serves one asker, then cleans up whatever happened."""
    parent = os.getppid()
    order: Order = json.loads(_read_line())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server: subprocess.Popen[bytes] | None = None
    try:
        _init(order)
        server = _start(order)
        _await_ready(order, server)
        print(json.dumps({"pid": server.pid}), flush=True)
        _await_end(parent, server)
    except _Failed as failure:
        print(json.dumps({"error": str(failure)}), flush=True)
    finally:
        if server is not None:
            _stop(server, throwaway=order["throwaway"])
        for folder in order["remove"]:
            shutil.rmtree(folder, ignore_errors=True)


def _read_line() -> bytes:
    # Unbuffered, so that select sees what comes after it.
    line = b""
    while not line.endswith(b"\n") and (more := os.read(sys.stdin.fileno(), 65536)):
        line += more
    return line


def _as_user(order: Order) -> dict[str, Any]:
    """The keywords that make a child run as the unprivileged user, where one is needed."""
    if order["uid"] is None:
        return {}
    return {"user": order["uid"], "group": order["gid"], "extra_groups": []}


def _init(order: Order) -> None:
    if (Path(order["data"]) / "PG_VERSION").exists():
        return
    done = subprocess.run(
        order["initdb"], capture_output=True, text=True, cwd="/", check=False, **_as_user(order)
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise _Failed(f"initdb failed: {lines[-1]}")


def _start(order: Order) -> subprocess.Popen[bytes]:
    with open(order["log"], "ab") as log:
        # The server gets no end of our pipes: it would keep the asker's reader waiting.
        return subprocess.Popen(
            order["postgres"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            **_as_user(order),
        )


def _await_ready(order: Order, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + order["startup_timeout"]
    status_file = Path(order["data"]) / "postmaster.pid"
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _Failed(f"the server ended while it started: {_last_line(order['log'])}")
        # Line 8 of postmaster.pid is the server's own word that it accepts connections.
        with contextlib.suppress(OSError):
            lines = status_file.read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready" and _answers(order["socket"]):
                return
        time.sleep(0.005)
    raise _Failed(f"the server was not ready in time: {_last_line(order['log'])}")


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def _last_line(log: str) -> str:
    lines = Path(log).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def _await_end(parent: int, server: subprocess.Popen[bytes]) -> None:
    # A forked child of the asker also holds the pipe, so its end alone could come too late.
    while os.getppid() == parent and server.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


def _stop(server: subprocess.Popen[bytes], *, throwaway: bool) -> None:
    # A folder that is removed anyway needs no checkpoint: immediate. A kept one gets a fast stop.
    for how in (signal.SIGQUIT if throwaway else signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_SECONDS)


if __name__ == "__main__":
    main()
