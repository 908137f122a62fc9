"""The garbage collector: kept quiet while a query runs, and afterwards as it was."""

import gc
from collections.abc import Iterator

import pytest

from m4i_fast.query.collector import YOUNG, rare_collections


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    (gc.enable if enabled else gc.disable)()


def state() -> tuple[tuple[int, ...], bool]:
    return gc.get_threshold(), gc.get_freeze_count() > 0


@rare_collections()
def fail() -> None:
    assert state() == ((YOUNG, 11, 12), True)
    raise KeyError


def test_inside_it_collects_rarely_and_afterwards_as_before() -> None:
    gc.set_threshold(700, 11, 12)
    with rare_collections():
        assert state() == ((YOUNG, 11, 12), True)
        with pytest.raises(KeyError):
            fail()
        assert state() == ((YOUNG, 11, 12), True), "another query still runs"
    assert state() == ((700, 11, 12), False)


def test_who_collects_even_more_rarely_is_left_alone() -> None:
    gc.set_threshold(YOUNG + 1, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == YOUNG + 1


def test_what_somebody_else_has_frozen_stays_frozen() -> None:
    gc.freeze()
    with rare_collections():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("threshold", [0, 700])
def test_a_collector_that_is_off_stays_off(threshold: int) -> None:
    gc.set_threshold(threshold, 10, 10)
    gc.disable()
    with rare_collections():
        assert not gc.isenabled()
        assert gc.get_freeze_count() == 0
    assert not gc.isenabled()
    assert gc.get_threshold()[0] == threshold


def test_a_cycle_is_still_found() -> None:
    class Node:
        other: object = None

    found = []
    with rare_collections():
        first, second = Node(), Node()
        first.other, second.other = second, first
        import weakref

        weakref.finalize(first, found.append, "gone")
        del first, second
        gc.collect()
        assert found == ["gone"]
