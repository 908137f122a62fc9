"""What the fuzzer kept because it reached something new: one input a line, in hexadecimal, as kernels/fuzz reads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from m4i_fast.kernels.backend import CORES, PreparedReferences, built_backends, overlap_statistics
from m4i_fast.kernels.ids import id_statistics
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.statistics import OverlapStatistics
from m4i_fast.kernels.tokens import TOKENISERS

SEEDS = Path(__file__).with_name("fuzz_seeds.txt").read_text(encoding="ascii").split()
NAMES = {tokeniser.number: name for name, tokeniser in TOKENISERS.items()}
Rows = tuple[list[str], list[list[str]]]


def read(seed: bytes) -> tuple[int, Rows]:
    """The first byte chooses a tokeniser and an alphabet; 255 ends a text, 254 a record; the rest is text."""
    bits = 0x7F if seed[0] // 5 % 4 == 0 else 0xFF
    records = [
        [bytes(byte & bits for byte in text).decode("latin-1") for text in record.split(b"\xff")]
        for record in seed[1:].split(b"\xfe")
    ]
    return seed[0] % 5, ([record[0] for record in records], [record[1:] for record in records])


def by_tokeniser() -> dict[int, Rows]:
    """All seeds of a tokeniser as one set of records: batches mix them, as in earnest."""
    sets: dict[int, Rows] = {}
    for seed in SEEDS:
        number, (hypotheses, references) = read(bytes.fromhex(seed))
        said, wanted = sets.setdefault(number, ([], []))
        said += hypotheses
        wanted += references
    return sets


def assert_equal(found: OverlapStatistics, expected: OverlapStatistics, name: str) -> None:
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(
            getattr(found, field.name), getattr(expected, field.name), err_msg=f"{name} {field.name}"
        )


def test_a_seed_by_hand() -> None:
    assert read(b"\x07a b\xffc\xff\xfed") == (2, (["a b", "d"], [["c", ""], []]))
    assert read(b"\x07\xe9") == (2, (["\xe9"], [[]]))
    assert read(b"\x02\xe9") == (2, (["i"], [[]]))
    assert len(SEEDS) > 500


@pytest.mark.parametrize("number", range(5))
def test_every_backend_agrees_on_what_the_fuzzer_kept(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hypotheses, references = by_tokeniser()[number]
    tokeniser = NAMES[number]
    monkeypatch.setenv("M4I_FAST_KERNELS", "reference")
    expected = overlap_statistics(hypotheses, references, tokeniser=tokeniser)
    for name in built_backends():
        if name == "triton":  # its interpreter takes minutes for so many; tests/kernels/test_gpu.py has it
            continue
        monkeypatch.setenv("M4I_FAST_KERNELS", name)
        assert_equal(overlap_statistics(hypotheses, references, tokeniser=tokeniser), expected, name)
        prepared = PreparedReferences(references, tokeniser=tokeniser)
        assert_equal(prepared.statistics(hypotheses), expected, f"{name} prepared")
        if name in CORES and tokeniser != "coco-space":  # numbers have one tokenisation only
            numbering = Numbering(tokeniser)
            said, wanted = numbering.ids(hypotheses), numbering.ids([text for row in references for text in row])
            rows = np.cumsum([0, *map(len, references)])
            assert_equal(id_statistics(said, wanted, rows), expected, f"{name} ids")
