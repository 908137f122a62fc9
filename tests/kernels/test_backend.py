"""The choice of backend, and what happens to bad input at the border."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from m4i_fast.errors import ConfigError, DataError, UserError
from m4i_fast.kernels import backend
from m4i_fast.text.overlap import References, overlap

BACKENDS = backend.built_backends()


@pytest.mark.parametrize("name", backend.BACKENDS)
def test_each_backend_is_here_to_be_tested(name: str) -> None:
    """All other tests run what there is; what is not there is told here, once, with the reason."""
    if name in BACKENDS:
        return
    reason = "this processor or build has no such instruction set"
    if name == backend.GPU:
        with pytest.raises(UserError) as absence:
            backend._gpu().check()
        reason = str(absence.value)
    pytest.skip(f"no test runs the backend {name}: {reason}")


def test_the_core_is_used_where_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    if backend._core() is None:
        pytest.skip("the C++ core was not built here")
    assert backend.backend_name() == backend._core().machines()[0]


@pytest.mark.parametrize("name", BACKENDS)
def test_the_variable_forces_a_backend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    assert backend.backend_name() == name


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", "cuda")
    with pytest.raises(
        ConfigError, match=r"M4I_FAST_KERNELS: 'cuda' is not .* avx512, avx2, baseline, rapidfuzz, reference, triton"
    ):
        backend.overlap_statistics(["a"], [["a"]], tokeniser="words")


def test_without_the_core_rapidfuzz_works_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    monkeypatch.setattr(backend, "_core", lambda: None)
    backend._warn_once.cache_clear()
    assert backend.backend_name() == "rapidfuzz"
    with pytest.warns(RuntimeWarning, match=r"without its C\+\+ core") as warned:
        counts = backend.overlap_statistics(["a x c d"], [["a b c d"]], tokeniser="words")
    assert warned[0].filename == __file__
    assert counts.lcs.tolist() == [3]
    backend.overlap_statistics(["a"], [["a"]], tokeniser="words")  # a second warning would be an error


@pytest.mark.parametrize(
    "door", [lambda: overlap(["a"], [["a"]]), lambda: References([["a"]], recipe="m4i").score(["a"])]
)
def test_the_warning_names_the_line_that_called(door: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    monkeypatch.setattr(backend, "_core", lambda: None)
    backend._warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"without its C\+\+ core") as warned:
        door()
    assert warned[0].filename == __file__


def test_a_forced_rapidfuzz_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", "rapidfuzz")
    backend._warn_once.cache_clear()
    assert backend.overlap_statistics(["a b"], [["a b"]], tokeniser="words").lcs.tolist() == [2]


def test_a_forced_core_that_is_not_built_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", "baseline")
    monkeypatch.setattr(backend, "_core", lambda: None)
    with pytest.raises(ConfigError, match="not built"):
        backend.backend_name()


def test_an_instruction_set_that_does_not_run_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldProcessor:
        @staticmethod
        def machines() -> tuple[str, ...]:
            return ("baseline",)

    monkeypatch.setenv("M4I_FAST_KERNELS", "avx512")
    monkeypatch.setattr(backend, "_core", OldProcessor)
    with pytest.raises(ConfigError, match=r"does not run 'avx512'.*\n?.*baseline, rapidfuzz, reference"):
        backend.backend_name()


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a", None], [["a"], ["a"]], r"hypotheses\[1\]: the hypothesis is None"),
        (["a", 3.0], [["a"], ["a"]], r"hypotheses\[1\]: .* of type 'float'"),
        ([b"a"], [["a"]], r"hypotheses\[0\]: .* of type 'bytes'"),
        (["a", "b"], [["a"], ["a", None]], r"references\[1\]\[1\]: the reference is None"),
        (["a", "b"], [["a"], ("a", 1)], r"references\[1\]\[1\]: .* of type 'int'"),
        (["a"], ["a"], r"references\[0\]: .* of type 'str', not a list"),
        (["a"], [b"a"], r"references\[0\]: .* of type 'bytes', not a list"),
        (["a"], [None], r"references\[0\]: .* None, not a list"),
        (["a"], [7], r"references\[0\]: .* of type 'int', not a list"),
        (["a", "b"], [["a"]], "2 hypotheses but references for 1"),
        ("ab", [["a"], ["b"]], "hypotheses: a list is wanted, not one value of type 'str'"),
        (["a"], None, "references: a list is wanted, not one value of type 'NoneType'"),
    ],
)
def test_bad_input_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, hypotheses: list[str], references: list[list[str]], message: str
) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    with pytest.raises(DataError, match=message):
        backend.overlap_statistics(hypotheses, references, tokeniser="words")


def test_an_unknown_tokeniser_is_refused() -> None:
    with pytest.raises(ConfigError, match="'penn' is not a tokeniser"):
        backend.overlap_statistics(["a"], [["a"]], tokeniser="penn")


@pytest.mark.parametrize("name", BACKENDS)
def test_other_sequences_are_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    counts = backend.overlap_statistics(np.array(["a b", "c"]), [("a",), np.array(["c", "d"])], tokeniser="words")
    assert counts.lcs.tolist() == [1, 1, 0]
    assert counts.offsets.tolist() == [0, 1, 3]


@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_gives_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    counts = backend.overlap_statistics([], [], tokeniser="words")
    assert counts.offsets.tolist() == [0]
    assert counts.matches.shape == (0, 4)
    assert counts.best_matches.shape == (0, 4)


def test_many_records_cross_in_several_batches() -> None:
    # Twice the core's batch of 1 MiB, in records of which every third has no reference.
    word = "w" * 60
    hypotheses = [f"{word} {i}" for i in range(20_000)]
    references = [[] if i % 3 == 0 else [f"{word} {i} x", str(i)] for i in range(20_000)]
    counts = backend.overlap_statistics(hypotheses, references, tokeniser="words")
    assert np.diff(counts.offsets).tolist() == [len(row) for row in references]
    assert counts.lcs.tolist() == [2, 1] * (len(counts.lcs) // 2)
    assert counts.best_matches[:, 0].tolist() == [0 if i % 3 == 0 else 2 for i in range(20_000)]


def test_one_record_larger_than_a_batch() -> None:
    text = " ".join(str(i) for i in range(300_000))
    counts = backend.overlap_statistics(["b", text, "c"], [["b"], ["0 1"], ["c"]], tokeniser="words")
    assert counts.lcs.tolist() == [1, 2, 1]
    assert counts.hypothesis_length.tolist() == [1, 300_000, 1]


def test_threads_get_the_same_counts() -> None:
    hypotheses = [f"a dog number {i} runs" for i in range(5_000)]
    references = [[f"the dog {i} runs", f"number {i}"] for i in range(5_000)]
    expected = backend.overlap_statistics(hypotheses, references, tokeniser="words")
    results = []

    def work() -> None:
        results.append(backend.overlap_statistics(hypotheses, references, tokeniser="words"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for counts in results:
        np.testing.assert_array_equal(counts.matches, expected.matches)
        np.testing.assert_array_equal(counts.lcs, expected.lcs)
