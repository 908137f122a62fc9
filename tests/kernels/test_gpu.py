"""Triton's kernels against the slow truth: in its interpreter where no GPU is, on the GPU where one is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import ConfigError, DataError, ExtraMissing
from m4i_fast.kernels import backend, ids
from m4i_fast.kernels.ids import MEASURES, TokenIds
from m4i_fast.kernels.statistics import OverlapStatistics

try:
    import torch

    from m4i_fast.kernels import gpu

    gpu.check()
except (ModuleNotFoundError, ExtraMissing, ConfigError) as absence:
    pytest.skip(str(absence), allow_module_level=True)

Lists = list[list[int]]
Rows = list[tuple[list[int], Lists]]


@pytest.fixture(scope="module", params=["interpreter", "GPU"], autouse=True)
def where(request: pytest.FixtureRequest) -> torch.device:
    """The same tests for both; a process has one of them, as ``TRITON_INTERPRET`` says."""
    if gpu.interpreted() != (request.param == "interpreter"):
        pytest.skip("no GPU is here" if gpu.interpreted() else "the GPU runs the kernels; set TRITON_INTERPRET=1")
    return gpu.device()


def truth(rows: Rows) -> OverlapStatistics:
    """As the words that the numbers would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", "reference")
        return backend.overlap_statistics(
            [" ".join(map(str, said)) for said, _ in rows],
            [[" ".join(map(str, text)) for text in row] for _, row in rows],
            tokeniser="whitespace",
        )


def on_device(texts: Lists) -> gpu.DeviceTokenIds:
    return gpu.DeviceTokenIds.from_host(TokenIds.from_lists(texts))


def counted(rows: Rows) -> OverlapStatistics:
    said, others = on_device([said for said, _ in rows]), on_device([text for _, row in rows for text in row])
    at = np.cumsum([0, *(len(row) for _, row in rows)])
    found = gpu.id_statistics(said, others, at).to_host()
    np.testing.assert_array_equal(gpu.subsequence_lengths(said, others, at).cpu().numpy(), found.lcs)
    return found


def agree(rows: Rows) -> None:
    found, wanted = counted(rows), truth(rows)
    for field in dataclasses.fields(wanted):
        mine, theirs = getattr(found, field.name), getattr(wanted, field.name)
        assert mine.dtype == theirs.dtype, field.name
        np.testing.assert_array_equal(mine, theirs, err_msg=field.name)


# Pairs.


def test_by_hand() -> None:
    # 1 2 x 1 2 against 1 2 1 2 1: the first reference has all four, the second brings the x.
    found = counted([([1, 2, 9, 1, 2], [[1, 2, 1, 2, 1], [2, 9]]), ([], [[5]]), ([7], [])])
    assert found.offsets.tolist() == [0, 2, 3, 3]
    assert found.lcs.tolist() == [4, 2, 0]
    assert found.matches.tolist() == [[4, 2, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]]
    assert found.best_matches.tolist() == [[5, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.closest_length.tolist() == [5, 1, 0]
    assert found.hypothesis_length.tolist() == [5, 0, 1]
    assert found.reference_length.tolist() == [5, 2, 1]


def test_nothing_at_all() -> None:
    agree([])
    agree([([], [])])
    agree([([1, 2], []), ([], [])])
    agree([([], [[], []]), ([3], [[]])])


def test_the_end_of_a_text_equals_nothing() -> None:
    # Zeros beside the ends of texts that are shorter than their lanes, and the largest id there is.
    last = 2**31 - 1
    agree([([0, last], [[0], [last], [0, 0, 0], [last, last]]), ([0, 0, 0], [[0, 0], []]), ([last], [[last, 0, last]])])


LENGTHS = (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200)


def test_lengths_around_words_and_blocks() -> None:
    rng = np.random.default_rng(1)

    def row(size: int, distinct: int) -> tuple[list[int], Lists]:
        others = (0, 1, 5, size + 1, size - 1, 63, 64, 65)
        return draw(size, distinct), [draw(max(0, min(other, 80)), distinct) for other in rng.choice(others, 4)]

    def draw(size: int, distinct: int) -> list[int]:
        return rng.integers(0, distinct, size).tolist()

    # In one call, since the interpreter's time goes by tokens and not by pairs.
    agree([row(size, distinct) for size in LENGTHS for distinct in (1, 2, 9)])


def test_carries_run_through_all_blocks() -> None:
    # Each match is found one block later; n-grams end in another block than they began; blocks give back nothing twice.
    text = list(range(132))
    moved = text[60:] + text[:60]
    found = counted([(text, [moved, text, text[62:67]]), ([5] * 130, [[5] * 66, [5] * 129])])
    assert found.lcs.tolist() == [72, 132, 5, 66, 129]
    assert found.matches[:, 3].tolist() == [69 + 57, 129, 2, 63, 126]
    assert found.best_matches[:, 3].tolist() == [129, 126]


texts = st.lists(st.integers(0, 3), max_size=20)


@settings(max_examples=12, deadline=None)
@given(rows=st.lists(st.tuples(texts, st.lists(texts, max_size=4)), max_size=12))
def test_any_texts(rows: Rows) -> None:
    agree(rows)


def drawn_captions(count: int) -> Rows:
    """Of the lengths and repetitions of captions: a few frequent words and many rare ones, five references each."""
    rng = np.random.default_rng(7)

    def caption() -> list[int]:
        return rng.zipf(1.5, rng.integers(5, 24)).clip(max=2000).tolist()

    return [(caption(), [caption() for _ in range(5)]) for _ in range(count)]


def test_drawn_captions_in_one_block_of_records_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn_captions(120)
    agree(rows)
    rows = [*rows[:16], (list(range(70)), [list(range(50, 72))] * 7), *rows[16:19]]
    whole = counted(rows)
    monkeypatch.setattr(gpu, "SCRATCH", 22 * 40)  # so that 40 pairs go together
    parted = counted(rows)
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(parted, field.name), getattr(whole, field.name), err_msg=field.name)


# All with all.


def find_agrees(hypotheses: Lists, candidates: Lists, k: int) -> None:
    """As ``ids``'s, to the last bit; its own tests hold that one to sorting."""
    said, others = TokenIds.from_lists(hypotheses), TokenIds.from_lists(candidates)
    for measure in MEASURES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", "reference")
            wanted, matrix = (
                ids.nearest(said, others, k, measure=measure),
                ids.overlap_matrix(said, others, measure=measure),
            )
        steps: list[int] = []
        found = gpu.nearest(on_device(hypotheses), on_device(candidates), k, measure=measure, advance=steps.append)
        np.testing.assert_array_equal(found.to_host().indices, wanted.indices, err_msg=measure)
        np.testing.assert_array_equal(found.to_host().scores, wanted.scores, err_msg=measure)
        assert found.indices.dtype == torch.int64
        assert found.scores.dtype == torch.float64
        assert sum(steps) == len(hypotheses)
        mine = gpu.overlap_matrix(on_device(hypotheses), on_device(candidates), measure=measure)
        np.testing.assert_array_equal(mine.cpu().numpy(), matrix, err_msg=measure)


def test_nearest_by_hand() -> None:
    others = on_device([[9], [2, 3], [1, 2], [3, 2, 1], []])
    # Both pairs of two share two of three tokens: P = 2/3, R = 1. The one that stands first is named first.
    found = gpu.nearest(on_device([[1, 2, 3], []]), others, 3)
    assert found.indices.tolist() == [[1, 2, 3], [0, 1, 2]]
    assert found.scores[0].tolist() == [2 * (2 / 3) / (2 / 3 + 1)] * 2 + [1 / 3]
    assert found.scores[1].tolist() == [0.0, 0.0, 0.0]


def test_nearest_of_few_or_none() -> None:
    find_agrees([[1, 2], []], [[1], []], 5)
    find_agrees([[1, 2]], [], 2)
    find_agrees([], [[1]], 2)


def test_nearest_of_all_lengths() -> None:
    rng = np.random.default_rng(5)
    said = [rng.integers(0, 6, size).tolist() for size in LENGTHS[:-2]]
    find_agrees(said, [rng.integers(0, 6, size).tolist() for size in (40, 0, 3, 9, 30, 17, 3)], 4)
    # The other way round: candidates may have any length.
    find_agrees(said[:4], [said[11], said[2]], 2)


def test_nearest_with_many_ties_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    lists = [rng.integers(0, 4, rng.integers(0, 7)).tolist() for _ in range(90)]
    find_agrees(lists, lists, 7)
    monkeypatch.setattr(gpu, "PAIRS", 90 * 40)
    find_agrees(lists[:60], lists, 7)


@settings(max_examples=8, deadline=None)
@given(hypotheses=st.lists(texts, max_size=5), candidates=st.lists(texts, max_size=12), k=st.integers(1, 14))
def test_nearest_of_any_texts(hypotheses: Lists, candidates: Lists, k: int) -> None:
    find_agrees(hypotheses, candidates, k)


# What comes in.


def test_padded_rows_and_other_integers(where: torch.device) -> None:
    matrix = torch.tensor([[3, 0, -1], [5, -1, -1], [6, 7, 8]], device=where)
    padded = gpu.DeviceTokenIds.from_padded(matrix, torch.tensor([2, 1, 3], dtype=torch.int32))
    assert padded.ids.tolist() == [3, 0, 5, 6, 7, 8]
    assert padded.offsets.tolist() == [0, 2, 3, 6]
    assert padded.lengths.tolist() == [2, 1, 3]
    assert (padded.ids.dtype, padded.offsets.dtype, len(padded)) == (torch.int32, torch.int64, 3)
    rows = torch.tensor([0, 1, 1, 3], dtype=torch.int32)
    assert gpu.subsequence_lengths(padded, padded, rows).tolist() == [2, 0, 3]
    assert gpu.subsequence_lengths(padded, padded).tolist() == [2, 1, 3]
    small = gpu.DeviceTokenIds(padded.ids.to(torch.uint32), padded.offsets.to(torch.uint8))
    assert (small.ids == padded.ids).all()
    assert (small.offsets == padded.offsets).all()


def ints(*values: int) -> torch.Tensor:
    return torch.tensor(values, device=gpu.device(), dtype=torch.int64)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: gpu.DeviceTokenIds(ints(1, -2), ints(0, 2)), r"ids\[1\]: the token id -2 is out of range"),
        (lambda: gpu.DeviceTokenIds(ints(2**31), ints(0, 1)), r"ids\[0\]: the token id 2147483648 is out of range"),
        (lambda: gpu.DeviceTokenIds(ints(1, 2).double(), ints(0, 2)), "ids: integers in 1 dimension are wanted, not"),
        (lambda: gpu.DeviceTokenIds(ints(1, 2) > 1, ints(0, 2)), r"not torch\.bool in 1"),
        (lambda: gpu.DeviceTokenIds(ints(1, 2), ints(0, 1)), "offsets: the offsets do not part 2 ids"),
        (lambda: gpu.DeviceTokenIds(ints(1, 2), ints(0, 3, 2)), "offsets: the offsets do not part"),
        (lambda: gpu.DeviceTokenIds(ints(1, 2), ints()), "offsets: the offsets do not part"),
        (
            lambda: gpu.DeviceTokenIds.from_padded(ints(1, 2)[None], ints(3)),
            r"lengths\[0\]: a row of 2 ids cannot hold",
        ),
        (lambda: gpu.DeviceTokenIds.from_padded(ints(1, 2)[None], ints(1, 1)), "there are 2 lengths for 1 rows"),
        (lambda: gpu.DeviceTokenIds.from_padded(ints(1, 2), ints(1)), "matrix: integers in 2 dimensions are wanted"),
        (lambda: gpu.id_statistics(on_device([[1]]), on_device([[1], [2]]), [0, 1]), "rows: they do not part 2"),
        (
            lambda: gpu.id_statistics(on_device([[1], [2]]), on_device([[1]])),
            "references: 1 references are not the same",
        ),
        (lambda: gpu.subsequence_lengths(on_device([[1]]), on_device([[1]]), ints(0)), "rows: they do not part 1"),
        (lambda: gpu.subsequence_lengths(on_device([[1]]), on_device([[1]]), ["0", "1"]), "rows: integers are wanted"),
        (lambda: gpu.subsequence_lengths(on_device([[1]]), on_device([[1]]), [0.0, 1.0]), "rows: integers in 1 dim"),
        (lambda: gpu.DeviceTokenIds(ints(-1).to(torch.uint64), ints(0, 1)), r"ids\[0\]: the token id -1 is out of"),
        (lambda: gpu.DeviceTokenIds(torch.ones(1, device="meta").int(), ints(0, 1)), "ids: the ids lie on 'meta'"),
    ],
)
def test_bad_input_is_named(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(DataError, match=said):
        make()


def test_settings_that_cannot_be() -> None:
    one = on_device([[1]])
    with pytest.raises(ConfigError, match="k: 0 neighbours"):
        gpu.nearest(one, one, 0)
    with pytest.raises(ConfigError, match="measure: 'bleu' is not a measure"):
        gpu.nearest(one, one, 1, measure="bleu")
    with pytest.raises(ConfigError, match="measure: 'bleu' is not a measure"):
        gpu.overlap_matrix(one, one, measure="bleu")


# The choice of it.


def run(script: str, tmp_path: Path, **variables: str) -> str:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), **variables}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_never_chosen_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert backend.built_backends()[-1] == "triton"
    monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    assert backend.backend_name() != "triton"
    script = "import sys, m4i_fast\nm4i_fast.overlap(['a'], [['a']])\nprint('torch' in sys.modules)"
    assert run(script, tmp_path) == "False\n"


def test_without_a_gpu_and_without_the_interpreter_it_is_refused(tmp_path: Path) -> None:
    script = (
        "from m4i_fast.errors import ConfigError\nfrom m4i_fast.kernels import backend\n"
        "assert 'triton' not in backend.built_backends()\n"
        "try:\n    backend.backend_name()\nexcept ConfigError as error:\n    print(error)\n"
    )
    said = run(script, tmp_path, M4I_FAST_KERNELS="triton", TRITON_INTERPRET="0", CUDA_VISIBLE_DEVICES="")
    assert said.startswith("triton: no GPU that CUDA knows is here. Count on the processor, or set TRITON_INTERPRET=1")


def test_without_its_extra_it_names_the_line_to_run(tmp_path: Path) -> None:
    script = (
        "import sys\nsys.modules['triton'] = None\n"
        "from m4i_fast.errors import ExtraMissing\nfrom m4i_fast.kernels import backend\n"
        "assert 'triton' not in backend.built_backends()\n"
        "try:\n    backend.backend_name()\nexcept ExtraMissing as error:\n    print(error.cure)\n"
    )
    assert run(script, tmp_path, M4I_FAST_KERNELS="triton") == "Run: pip install -c constraints.txt '.[triton]'\n"


# NVIDIA's assembler takes them, without a GPU.

COMPILE = """
import re, sys, warnings
warnings.simplefilter("ignore")
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from m4i_fast.kernels import gpu_kernels

WIDE = {"h_step": "i32", "r_step": "i32", "across": "i32", "skip": "i32", "count": "i32", "pairs": "i32",
        "shortest": "i32", "longest": "i32"}
LONGS = ("h_begin", "r_begin", "order", "record", "rows")

def compiled(kernel, architecture, **chosen):
    word = "*i64" if chosen["WIDTH"] == 64 else "*i32"
    kinds = {"used": word, "carries": "*u8", **dict.fromkeys(LONGS, "*i64"), **WIDE}
    signature = {name: "constexpr" if name in chosen else kinds.get(name, "*i32") for name in kernel.arg_names}
    source = ASTSource(kernel, signature=signature, constexprs=chosen)
    made = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 4})
    assert made.asm["cubin"][:4] == b"\\x7fELF"
    return made.asm["ptx"]

# What the compiler would otherwise look into: of a step of 1 it would make neighbouring lanes of neighbouring tokens.
hidden = {each.name for each in gpu_kernels.compare.params if each.do_not_specialize}
assert hidden >= {"h_step", "r_step"}, hidden

for architecture in map(int, sys.argv[1:]):
    for width, long in ((16, False), (32, False), (64, False), (64, True)):
        shape = {"LONG": long, "WIDTH": width, "BLOCK": 128}
        for matrix, orders in ((False, 4), (False, 0), (True, 0), (True, 1)):
            ptx = compiled(gpu_kernels.compare, architecture, MATRIX=matrix, SUBSEQUENCE=orders != 1, ORDERS=orders,
                           UNITE=orders == 4, **shape)
            loop, = re.findall(r"^(\\$L__BB\\w+):((?:(?!^\\$L__BB).)*?bra\\S*\\s+\\1;)", ptx, re.DOTALL | re.MULTILINE)
            print(architecture, width, long, matrix, orders, sorted(set(re.findall(r"shfl|shared|bar\\.", loop[1]))))
        compiled(gpu_kernels.unite, architecture, **shape)
"""


def test_the_kernels_compile_for_gpus_and_keep_to_their_registers(tmp_path: Path) -> None:
    """For sm_80 and sm_90. No lane waits for another while it goes through a reference."""
    script = tmp_path / "compile.py"
    script.write_text(COMPILE, encoding="utf-8")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, str(script), "80", "90"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 32
    assert all(line.endswith(" []") for line in lines), done.stdout
