"""A private Postgres until Ctrl-C: `python -m execlog.embedded [FOLDER]`.

FOLDER keeps its data; without one the server is a throwaway. It listens on a unix socket only.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from execlog.embedded.server import EmbeddedPostgres
from execlog.errors import ExeclogError

__all__ = ["main"]


def main(words: list[str]) -> None:
    """Serves until a signal ends it. Raises SystemExit with the reason if it can't."""
    if len(words) > 1 or (words and words[0].startswith("-")):
        sys.exit((__doc__ or "").strip())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with EmbeddedPostgres(*words) as server, suppress(KeyboardInterrupt):
            print(f"export EXECLOG_DSN='{server.dsn}'", flush=True)
            signal.pause()
    except ExeclogError as error:
        sys.exit(f"execlog: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
