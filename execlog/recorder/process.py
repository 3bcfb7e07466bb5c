"""What becomes of a process's recorders when it forks, exits or is terminated.

- Forked: the child's recorders are new, and the parent's stay as they were.
- Exited, also a child of `multiprocessing`: what is pending is stored, within ten seconds.
- SIGTERM, if the program has no handler of its own: likewise; then the process dies of the signal,
  as it would have without a recorder. A second signal ends it at once.

What other threads record after the last of that is held with its thread until the process is gone:
so nothing is answered that is not stored.

Whatever ends a process without asking Python (`os._exit`, SIGKILL) loses what is pending.
"""

from __future__ import annotations

import _thread
import atexit
import concurrent.futures.thread
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

    from execlog.recorder.lifecycle import Background

__all__ = ["Owner", "began", "ended", "hold", "register"]

_FLUSH_SECONDS, _CLOSE_SECONDS = 5.0, 4.0
_AGAIN_SECONDS = 0.05
_HOLD_SECONDS = 1.0
_log = logging.getLogger("execlog.recorder")


class Owner(Protocol):
    """A recorder."""

    def background(self) -> Background:
        """What runs it. Never raises."""

    def pending(self) -> int:
        """The number of executions that wait. Never raises."""

    def after_fork(self) -> None:
        """Becomes new, in a forked child. Never raises."""


_recorders: weakref.WeakSet[Owner] = weakref.WeakSet()
# Those that were started and not closed, also if the program has forgotten its recorder.
_running: set[Background] = set()
_leaving = False
_interrupted = False  # by Ctrl-C, while it was being drained
_ends_with_child = False
_ends = 0.0  # when the process will be gone, if it is being drained for the last time


def register(recorder: Owner) -> None:
    """Looks after a recorder from now on. Never raises."""
    _recorders.add(recorder)
    _watch()


def began(background: Background) -> None:
    """A recorder was started, and must be drained before the process ends. Never raises."""
    _running.add(background)
    _watch()
    _end_with_child()


def ended(background: Background) -> None:
    """A recorder was closed. Never raises."""
    _running.discard(background)


def hold(background: Background) -> None:
    """Keeps a thread whose execution came too late for the process's last batch, until its end.

    Not one that the end waits for: that of the event loop that stores, and the main thread unless
    a signal ends it. Returns at once if the process goes on. Never raises.
    """
    while time.monotonic() < _ends and not background.runs_here():
        if not _leaving and threading.current_thread() is threading.main_thread():
            return
        time.sleep(_AGAIN_SECONDS)


def _watch() -> None:
    """Drains on SIGTERM, if the signal has no handler yet and this is the main thread."""
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return
    with contextlib.suppress(ValueError):  # another interpreter's main thread
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """Has another thread drain: this one may be inside `record`, with the buffer's lock."""
    global _leaving
    if _leaving or not (_running or sum(one.pending() for one in _known())):
        _die()
        return
    _leaving = True
    try:
        # The bare function: that of `threading` takes locks, which the interrupted code may hold.
        _thread.start_new_thread(_leave, ())
    except RuntimeError:  # none can be started any more
        _die()


def _leave() -> None:
    try:
        _close(_FLUSH_SECONDS + _CLOSE_SECONDS)
    finally:
        # The handler sees that the process may die now. The main thread runs it, and can miss a
        # signal that comes just when it begins to wait. (Not `pthread_kill`: with gevent the main
        # thread's ident is that of a greenlet.)
        while True:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_AGAIN_SECONDS)


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    if os.getpid() == 1:  # a container's first process, which the signal does not end
        os._exit(128 + signal.SIGTERM)


def _is_child() -> bool:
    """Whether this is a process of `multiprocessing`."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _end_with_child() -> None:
    """Has a child of `multiprocessing` close its recorders before it ends its threads.

    A pool terminates its children as they end by themselves. What a program's handler raises when
    nothing is left to be done but to end threads, ends the process without a word.
    """
    global _ends_with_child
    if _is_child() and not _ends_with_child:
        _ends_with_child = True
        sys.modules["multiprocessing.util"].Finalize(None, _close_child, exitpriority=-100)


def _close_child() -> None:
    """Closes the recorders, whatever a program's handler of a signal raises meanwhile.

    Not if other threads go on. Raises what the handler raises, in the end.
    """
    if _at_work():
        return
    begin, seconds = time.monotonic(), _FLUSH_SECONDS + _CLOSE_SECONDS
    try:
        _close(seconds)
    except BaseException:
        _close(max(begin + seconds - time.monotonic(), 0.1))
        raise


def _exiting() -> None:
    """Stores what is pending when the main thread has ended; other threads may go on."""
    global _interrupted
    is_child = _is_child()
    if is_child and not _at_work():
        _close_child()  # `atexit` is not for forked children
        return
    try:
        _drain(_FLUSH_SECONDS, lambda one, seconds: one.flush_soon(seconds))
    except KeyboardInterrupt:  # it has taken too long for somebody
        _interrupted = True
    if is_child:
        with contextlib.suppress(RuntimeError):  # the process has too many threads
            threading.Thread(target=_close_last, name="execlog exit").start()


def _at_work() -> list[threading.Thread]:
    """The other threads that the process's end waits for."""
    own = (threading.main_thread(), threading.current_thread())
    return [one for one in threading.enumerate() if not one.daemon and one not in own]


def _close_last() -> None:
    """Stores what is pending once all others have ended; the process's end waits for it."""
    while others := _at_work():
        for one in others:
            one.join()
    _close(_CLOSE_SECONDS)


def _exited() -> None:
    if not _interrupted:
        with contextlib.suppress(KeyboardInterrupt):
            _close(_CLOSE_SECONDS)
    if lost := sum(one.pending() for one in _known()):
        _log.warning("%d executions are lost with this process: nothing stored them", lost)
    if _leaving:  # the program has ended before its recorders have
        _die()


def _known() -> list[Owner]:
    """All recorders; other threads may make one meanwhile."""
    while True:
        with contextlib.suppress(RuntimeError):
            return list(_recorders)


def _close(seconds: float) -> None:
    global _ends
    ends = time.monotonic() + seconds
    _ends = ends + _HOLD_SECONDS
    for one in _drain(seconds, lambda one, left: one.close_soon(left), beyond=1.0):
        one.join(max(ends - time.monotonic(), 0.1))


def _drain(
    seconds: float,
    begin: Callable[[Background, float], Future[Any] | None],
    beyond: float = 0.0,
) -> set[Background]:
    """Has all that run, or wait to be started, store what waits, within these seconds in all.

    Those whose event loop is paused are closed: one after the other, each in its share of the time,
    so that one whose store is away leaves some to the others.
    """
    ends = time.monotonic() + seconds
    known = _running.union(one.background() for one in _known())
    paused = [one for one in known if one.is_paused()]
    for one in known.difference(paused):
        one.take_over()
    waits = [begin(one, seconds) for one in known.difference(paused)]
    for place, one in enumerate(paused):
        one.resume(max(ends - time.monotonic(), 0.1) / (len(paused) - place))
    left = max(ends - time.monotonic(), 0.0)
    concurrent.futures.wait([one for one in waits if one], timeout=left + beyond)
    return known


def _forked() -> None:
    global _leaving, _interrupted, _ends, _ends_with_child
    _leaving, _interrupted, _ends, _ends_with_child = False, False, 0.0, False
    _running.clear()
    for recorder in _known():
        recorder.after_fork()


atexit.register(_exited)
# Called in reverse order, so before the pools of threads refuse work, and in the children of
# `multiprocessing` too. It has no public name; without it, `atexit` alone has to do.
getattr(threading, "_register_atexit", atexit.register)(_exiting)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
