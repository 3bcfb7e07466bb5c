"""Finds the folders `sql` and `migrations`, in a wheel and in an editable install."""

from __future__ import annotations

from pathlib import Path

from execlog.errors import QueryFileError

__all__ = ["folder"]

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = _PACKAGE.parent


def folder(name: str) -> Path:
    """The folder of that name inside the installed package, else beside it in a checkout.

    Raises:
        QueryFileError: There is neither; the install is broken.
    """
    inside = _PACKAGE / name
    if inside.is_dir():
        return inside
    # Guarded: other projects leave folders called `migrations` in site-packages.
    beside = _CHECKOUT / name
    if (_CHECKOUT / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    raise QueryFileError(f"this install lacks the folder {name!r}: install execlog again")
