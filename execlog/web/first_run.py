"""How to record the first run, with the names of the log that is served."""

from __future__ import annotations

from dataclasses import dataclass

from execlog.db.sqltext import SCHEMA

__all__ = ["FirstRun", "of"]

_PROGRAM = """\
import asyncio, os
import execlog

async def main():
    recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"]{schema})
    async with recorder:  # it stores what is left before it ends
        with recorder.run(strategy_id="first", strategy_version=1, strategy_type="DSL") as run:
            run.points = 10  # your engine runs here; what it raises is stored too

asyncio.run(main())
"""


@dataclass(frozen=True)
class FirstRun:
    """What the page of an empty log shows.

    Attributes:
        program: A program that records one run.
        commands: The commands that set it up, run it and look at what was stored.
    """

    program: str
    commands: str


def of(schema: str) -> FirstRun:
    """How to record into the log in a schema. Never raises.

    Args:
        schema: The schema of the log.
    """
    is_usual = schema == SCHEMA
    argument = "" if is_usual else f', schema="{schema}"'
    option = "" if is_usual else f" --schema {schema}"
    return FirstRun(
        _PROGRAM.format(schema=argument),
        f"export EXECLOG_DSN=postgresql://...\npython first.py\nexeclog tail first{option}\n",
    )
