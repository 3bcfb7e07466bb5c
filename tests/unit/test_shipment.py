"""Which row is to blame: never a healthy one, and each bad one as soon as anything was stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execlog.recorder.batch import Shipment

FATES = st.lists(st.sampled_from(["fine", "fine", "fine", "bad"]), min_size=1, max_size=120)


def rows_of(fates: list[str], begin: int = 0) -> list[bytes]:
    return [f"{n} {fate}".encode() for n, fate in enumerate(fates, begin)]


def tried(shipment: Shipment, *, named: bool, most: int) -> tuple[list[bytes], list[bytes], int]:
    """What is stored and what is taken out, until nothing more can be done, and in how many tries.

    A try fails if it holds a bad row, which the store names or does not.
    """
    before = sorted(shipment.rows())
    stored: list[bytes] = []
    blamed: list[bytes] = []
    tries = 0
    while rows := shipment.next():
        assert len(rows) <= most
        assert shipment.next() == rows
        tries += 1
        bad = [place for place, row in enumerate(rows) if row.endswith(b"bad")]
        if bad:
            row = shipment.refuse(len(rows), place=bad[0] if named else None)
            blamed += [] if row is None else [row]
        else:
            shipment.settle(len(rows), stored=len(rows))
            stored += rows
        assert sorted([*stored, *blamed, *shipment.rows()]) == before
    assert not any(row.endswith(b"fine") for row in blamed)
    return stored, blamed, tries


@given(fates=FATES, most=st.integers(1, 50), named=st.booleans())
def test_only_the_bad_ones_are_blamed(fates: list[str], most: int, named: bool) -> None:
    shipment = Shipment(rows_of(fates), most)
    _, blamed, tries = tried(shipment, named=named, most=most)
    assert tries <= 30 * len(fates)
    if named:
        assert len(blamed) == fates.count("bad")
    elif "fine" not in fates:
        assert not blamed
    # In better times, or with others that are fine, the rest follows.
    for turn in range(200):
        if not shipment:
            break
        shipment.begin_again(rows_of(["fine"], 1000 + turn))
        blamed += tried(shipment, named=named, most=most)[1]
    assert not shipment
    assert len(blamed) == fates.count("bad")


@given(count=st.integers(1, 3000), most=st.integers(1, 2000))
def test_a_store_that_takes_nothing_is_left_alone_soon(count: int, most: int) -> None:
    shipment = Shipment(rows_of(["fine"] * count), most)
    tries = 0
    while rows := shipment.next():
        assert shipment.refuse(len(rows), place=None) is None
        tries += 1
    assert len(shipment) == count
    assert tries <= 16 + 12
    shipment.begin_again()
    assert len(shipment.next()) == min(count, most)


@given(fates=FATES, refusals=st.sets(st.integers(0, 60)))
def test_a_condition_that_comes_and_goes(fates: list[str], refusals: set[int]) -> None:
    """What refuses everything blames a row only if others were stored between two refusals."""
    shipment = Shipment(rows_of(["fine"] * len(fates)), 50)
    refused: dict[bytes, int] = {}
    stored = turn = 0
    while shipment and turn < 5000:
        rows = shipment.next()
        if not rows:
            shipment.begin_again()
            refused.clear()
            continue
        turn += 1
        if turn in refusals:
            row = shipment.refuse(len(rows), place=None)
            for one in rows:
                refused.setdefault(one, stored)
            if row is not None:
                assert len(rows) == 1
                assert stored > refused[row]
        else:
            shipment.settle(len(rows), stored=len(rows))
            stored += len(rows)
    assert not shipment


def test_a_swallowed_row_is_no_proof() -> None:
    shipment = Shipment(rows_of(["fine", "bad"]), 2)
    assert shipment.refuse(2, place=None) is None
    shipment.settle(1, stored=0)  # a trigger has swallowed it
    assert shipment.next() == rows_of(["bad"], 1)
    assert shipment.refuse(1, place=None) is None
    assert not shipment.next()
    assert len(shipment) == 1
