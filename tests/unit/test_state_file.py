"""The file of a state, under whichever name it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from execlog.cli.state_file import StateUnavailable, held_file, read_file, write_file


async def test_a_link_to_a_state_is_the_same_state(tmp_path: Path) -> None:
    file, link = tmp_path / "state", tmp_path / "link"
    link.symlink_to(file)
    async with held_file(link, by="another", patience=0):
        with pytest.raises(StateUnavailable, match="another holds the file"):
            async with held_file(file, by="another", patience=0):
                pass
    write_file(link, b"kept")
    assert link.is_symlink()
    assert read_file(file) == b"kept"
