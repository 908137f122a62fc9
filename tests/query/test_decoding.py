import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import RunFailed
from m4i_fast.query.decoding import AHEAD, decode_batch, decoding
from m4i_fast.types import ImageBatch, Record


def _batches(count: int) -> list[list[Record]]:
    return [[Record(str(index), "x.png")] for index in range(count)]


def _blank(records: Sequence[Record], size: int, threads: int) -> ImageBatch:
    return ImageBatch(tuple(each.id for each in records), np.zeros((1, size, size, 3), np.uint8), (None,))


def _alive() -> bool:
    return any(thread.name == "m4i-decode" for thread in threading.enumerate())


def test_batches_come_whole_and_in_order() -> None:
    with decoding(_batches(20), 2, decode=_blank) as decoded:
        assert [(index, batch.ids) for index, batch in decoded] == [(index, (str(index),)) for index in range(20)]
    assert not _alive()


def test_no_more_batches_wait_than_fit_the_queue() -> None:
    begun: list[str] = []

    def counting(records: Sequence[Record], size: int, threads: int) -> ImageBatch:
        begun.append(records[0].id)
        return _blank(records, size, threads)

    with decoding(_batches(20), 2, decode=counting) as decoded:
        next(iter(decoded))
        time.sleep(0.3)
        assert len(begun) <= 1 + AHEAD + 1  # taken, waiting, and one in the decoder's hand
    assert not _alive()


def test_decoding_goes_on_while_the_model_works() -> None:
    second = threading.Event()

    def marking(records: Sequence[Record], size: int, threads: int) -> ImageBatch:
        if records[0].id == "1":
            second.set()
        return _blank(records, size, threads)

    with decoding(_batches(3), 2, decode=marking) as decoded:
        for index, _ in decoded:
            if index == 0:
                assert second.wait(10), "batch 1 must be decoded while batch 0 is in use"
    assert decoded.seconds >= 0


def test_an_error_of_the_decoder_reaches_the_caller() -> None:
    def breaks(records: Sequence[Record], size: int, threads: int) -> ImageBatch:
        if records[0].id == "2":
            raise MemoryError("no room")
        return _blank(records, size, threads)

    seen: list[int] = []
    with pytest.raises(MemoryError, match="no room"), decoding(_batches(5), 2, decode=breaks) as decoded:
        seen.extend(index for index, _ in decoded)
    assert seen == [0, 1]
    assert not _alive()


def test_a_caller_that_leaves_early_leaves_no_thread() -> None:
    with decoding(_batches(50), 2, decode=_blank) as decoded:
        assert next(iter(decoded))[0] == 0
        assert _alive()
    assert not _alive()


def test_a_dead_thread_is_noticed_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with decoding([], 2, decode=_blank) as decoded:
        assert list(decoded) == []
        decoded._thread.join()
        with pytest.raises(RunFailed, match="has died"):
            list(decoded)


def test_bad_records_are_blank_rows_with_reasons(picture_records: Any) -> None:
    records = picture_records([10, 20, 30], broken=(1,))
    records.append(Record("last", "", error="no image is named"))
    batch = decode_batch(records, 4, 2)
    assert batch.ids == ("r00000", "r00001", "r00002", "last")
    assert batch.pixels.shape == (4, 4, 4, 3)
    assert batch.pixels[:, 0, 0, 0].tolist() == [10, 0, 30, 0]
    assert [error is None for error in batch.errors] == [True, False, True, False]
    assert batch.errors[3] == "no image is named"
