"""Many threads at once give what one gives; lists that change meanwhile harm nothing; nothing is kept behind."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import DataError
from m4i_fast.kernels import backend
from m4i_fast.kernels.backend import CORES, PreparedReferences, built_backends, overlap_statistics
from m4i_fast.kernels.ids import TokenIds, id_statistics, nearest
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.tokens import TOKENISERS
from m4i_fast.text.overlap import References, counted, overlap, overlaps
from m4i_fast.text.ptb import ptb_tokenise
from m4i_fast.text.recipes import recipe_named
from tests.text.sentences import rows, sentences

STATM = Path("/proc/self/statm")
RECIPES = ("coco", "coco/coco-space", "rouge-score/porter", "sacrebleu", "nltk/mean", "m4i")


def together(work: Callable[[int], Any], count: int = 8) -> list[Any]:
    """``work(0)`` .. ``work(count - 1)``, all begun at the same time."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_eight_threads_at_once_give_what_one_gives() -> None:
    hypotheses, references = rows()
    prepared = {recipe: References(references, recipe=recipe) for recipe in RECIPES}
    alone = {recipe: overlap(hypotheses, references, recipe=recipe).values for recipe in RECIPES}

    def work(number: int) -> None:
        for step in range(len(RECIPES)):
            recipe = RECIPES[(number + step) % len(RECIPES)]
            np.testing.assert_array_equal(overlap(hypotheses, references, recipe=recipe).values, alone[recipe])
            np.testing.assert_array_equal(prepared[recipe].score(hypotheses).values, alone[recipe])

    together(work)


def test_one_numbering_for_eight_threads_gives_each_token_one_number() -> None:
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            numbering = Numbering("whitespace")
            parts = [[f"w{i} w{i + number} long-word-{i}-{number}" for i in range(400)] for number in range(8)]

            def work(number: int, numbering: Numbering = numbering, parts: list[list[str]] = parts) -> list[list[int]]:
                found: list[list[int]] = []
                for at in range(0, 400, 20):
                    found += numbering.ids(parts[number][at : at + 20]).lists()
                return found

            known: dict[str, int] = {}
            for part, found in zip(parts, together(work), strict=True):
                for text, ids in zip(part, found, strict=True):
                    for token, number in zip(text.split(), ids, strict=True):
                        assert known.setdefault(token, number) == number
            assert len(known) == len(numbering)
            assert sorted(known.values()) == list(range(len(known)))


def test_texts_of_one_set_for_eight_threads() -> None:
    numbers = Numbering()
    said = numbers.ids(sentences())
    rows_at = np.arange(len(said) + 1)
    counts, found = id_statistics(said, said, rows_at), nearest(said.between(0, 200), said, 3)

    def work(number: int) -> None:
        np.testing.assert_array_equal(
            id_statistics(said, said, rows_at, threads=1 + number % 3).matches, counts.matches
        )
        np.testing.assert_array_equal(nearest(said.between(0, 200), said, 3).indices, found.indices)

    together(work)


@pytest.mark.parametrize("name", built_backends())
def test_lists_that_another_thread_changes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever is read, it is a table of one moment's texts, or the error that names what stood there."""
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    hypotheses = ["a caf\u00e9 dog", "a &amp; dog", "a dog runs. it runs"] * (200 if name in CORES else 10)
    references = [["a caf\u00e9 cat", "the dog", "a &lt; dog"] for _ in hypotheses]
    stop = threading.Event()

    def disturb() -> None:
        at = 0
        while not stop.is_set():
            row = references[at % len(references)]
            row.clear()
            row.extend(["a caf\u00e9", "x"] * (at % 7))
            hypotheses[at % len(hypotheses)] = f"a caf\u00e9 {at}"
            if at % 50 == 0:
                row.append(None)  # type: ignore[arg-type]
                row.pop()
            if at % 11 == 0:
                references[at % len(references)] = ["a new caf\u00e9", "&amp;"]
            at += 1
            time.sleep(0)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=disturb) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        end = time.monotonic() + 0.3
        calls = 0
        while time.monotonic() < end or calls < 3:
            calls += 1
            try:
                tables = overlaps(hypotheses, references, ["coco/coco-space", "sacrebleu", "m4i"])
                tables += (overlap(hypotheses, references, recipe="m4i"), overlap(hypotheses, references))
                tables += (overlap(hypotheses, references, recipe="coco/ptb-exact"),)
                tables += (References(references).score(hypotheses),)
                several = References(references, recipe=["m4i", "rouge-score/porter", "coco/ptb-exact"])
                tables += several.scores(hypotheses)
            except DataError as error:
                assert "references[" in str(error)  # noqa: PT017 - the None was seen, or was not
                continue
            for table in tables:
                assert table.values.shape == (len(hypotheses), 7)
                seen = ~np.isnan(table.values[:, 0])
                assert ((table.values[seen, :3] >= 0) & (table.values[seen, :3] <= 1)).all()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)


@pytest.mark.parametrize("door", ["overlap", "overlaps", "counted", "References"])
def test_all_that_is_counted_is_of_one_moment(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the texts are gone through, and whatever their list is made meanwhile."""
    before, after = ["a dog runs", "two cats", "the sun."], ["the bird", "a man on a mat", "x"]
    references = [["a dog runs fast", "dogs"], ["two cats sleep"], ["sun"]]
    names = ["m4i", "sacrebleu", "coco"]
    expected = [table.values for table in overlaps(before, references, names)]
    said = list(before)

    def turning(function: Callable[..., Any]) -> Callable[..., Any]:
        def turned(*given: Any, **more: Any) -> Any:
            found = function(*given, **more)
            said[:] = after  # as another thread might
            return found

        return turned

    for name in ("overlap_scores", "overlap_statistics", "set_statistics"):
        monkeypatch.setattr(f"m4i_fast.text.overlap.{name}", turning(getattr(backend, name)))
    for name in ("scores", "statistics"):
        monkeypatch.setattr(PreparedReferences, name, turning(getattr(PreparedReferences, name)))
    doors: dict[str, Callable[[], list[Any]]] = {
        "overlap": lambda: [overlap(said, references, recipe="m4i").values],
        "overlaps": lambda: [table.values for table in overlaps(said, references, names)],
        "counted": lambda: [each.values for each in counted(said, references, list(map(recipe_named, names)))],
        "References": lambda: [table.values for table in References(references, recipe=names).scores(said)],
    }
    found = doors[door]()
    assert said == after
    for values, wanted in zip(found, expected, strict=False):
        np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize("side", ["hypotheses", "references"])
@pytest.mark.parametrize("door", ["overlap", "overlap_statistics"])
def test_a_list_that_shrinks_while_it_is_read_is_named(door: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python itself still takes entities apart.
    hypotheses, references = ["a caf\u00e9 &amp; a bar"] * 600, [["a dog &amp; a cat, caf\u00e9"]] * 600
    mteval = TOKENISERS["13a"]

    def encode(text: str) -> bytes:
        del (hypotheses if side == "hypotheses" else references)[300:]  # as another thread might, once Python runs
        return mteval.encode(text)

    monkeypatch.setitem(TOKENISERS, "13a", replace(mteval, encode=encode))
    doors: dict[str, Callable[..., Any]] = {
        "overlap": partial(overlap, recipe="sacrebleu"),
        "overlap_statistics": partial(overlap_statistics, tokeniser="13a"),
    }
    with pytest.raises(DataError, match=r"there are (300 hyp.* for 600|600 hyp.* for 300)"):
        doors[door](hypotheses, references)


LONG = [" ".join(f"w{(i * i + text) % 997}" for i in range(1500)) for text in range(40)]
OUTSIDE: dict[str, Callable[[], object]] = {
    "overlap": lambda: overlap(LONG, [[text] for text in reversed(LONG)]),
    "overlap_statistics": lambda: overlap_statistics(LONG, [[text] for text in reversed(LONG)], tokeniser="words"),
    "overlap m4i": lambda: overlap(LONG, [[text] for text in reversed(LONG)], recipe="m4i"),
    "References": lambda: PREPARED.score(LONG),
    "ptb": lambda: ptb_tokenise(LONG * 5, repaired=True),
    "ptb, exact": lambda: ptb_tokenise(LONG * 5),
}
PREPARED = References([[text] for text in reversed(LONG)])


@pytest.mark.skipif(backend.core_in_use() is None, reason="Python itself counts where the core is not in use")
@pytest.mark.parametrize("door", OUTSIDE)
def test_others_run_while_the_core_works(door: str) -> None:
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1
            time.sleep(1e-4)

    OUTSIDE[door]()  # what is made once a process is made now
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=count)
    thread.start()
    try:
        sys.setswitchinterval(1000)  # nobody takes the interpreter from us; the core alone can give it away
        before, end = counted[0], time.monotonic() + 5
        while counted[0] == before and time.monotonic() < end:
            OUTSIDE[door]()
        after = counted[0]
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert after > before


@pytest.mark.skipif(not STATM.exists(), reason="the limit is set by what Linux says of the process")
def test_where_the_system_gives_no_threads_the_work_is_done_by_those_there_are() -> None:
    """A limit on memory leaves no room for a thousand stacks."""
    code = (
        "import resource, numpy as np\n"
        "from m4i_fast.kernels.backend import overlap_statistics\n"
        "from m4i_fast.kernels.ids import id_statistics\n"
        "from m4i_fast.kernels.numbering import Numbering\n"
        "texts = [f'a dog {i}' for i in range(3000)]\n"
        "said = Numbering().ids(texts)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29),) * 2)\n"
        "counts = overlap_statistics(texts, [[text] for text in texts], tokeniser='words', threads=1000)\n"
        "assert counts.lcs.tolist() == [3] * 3000\n"
        "assert id_statistics(said, said, threads=1000).lcs.tolist() == [3] * 3000\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]


def test_nothing_is_kept_behind() -> None:
    said, references = ["a caf\u00e9 dog", "a dog's ball", ""] * 10, [["a dog", "the caf\u00e9"], ["a ball"], []] * 10
    bad = [*said[:-1], None]

    def call() -> None:
        for recipe in ("coco/coco-space", "sacrebleu", "m4i"):
            overlap(said, references, recipe=recipe)
        References(references, recipe="rouge-score/porter").score(said)
        numbers = Numbering()
        texts = numbers.ids(said)
        nearest(texts, texts, 2)
        id_statistics(texts, texts)
        with pytest.raises(DataError):
            overlap(bad, references)  # type: ignore[arg-type]
        with pytest.raises(DataError):
            TokenIds.from_lists([[-1]])

    def standing() -> int:
        gc.collect()
        return int(STATM.read_text().split()[1]) * resource.getpagesize() if STATM.exists() else 0

    for _ in range(60):
        call()
    references_before = [sys.getrefcount(text) for text in said[:2]]
    before = standing()
    tracemalloc.start()
    try:
        for _ in range(20):
            call()
        gc.collect()
        first, _ = tracemalloc.get_traced_memory()
        for _ in range(80):
            call()
        gc.collect()
        second, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for _ in range(840):
        call()
    assert second - first < 50_000
    assert standing() - before < 8 << 20
    assert [sys.getrefcount(text) for text in said[:2]] == references_before


def test_references_are_let_go() -> None:
    texts = [f"a dog number {i} of many" for i in range(2000)]
    counts = [sys.getrefcount(text) for text in texts[:5]]
    prepared = References([[text] for text in texts])
    prepared.score(texts)
    del prepared
    overlap_statistics(texts, [[text] for text in texts], tokeniser="words", threads=4)
    gc.collect()
    assert [sys.getrefcount(text) for text in texts[:5]] == counts
