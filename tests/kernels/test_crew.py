"""The core's threads, each of which looks its own batches up: the same results and errors for any number of them."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from m4i_fast.kernels import backend
from m4i_fast.kernels.ids import id_statistics, subsequence_lengths
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.tokens import TOKENISERS
from m4i_fast.text.recipes import SUM_COMPENSATES, recipe_named

CORE: Any = backend.core_in_use()
pytestmark = pytest.mark.skipif(CORE is None, reason="the C++ core is not in use")
THREADS = (1, 2, 3, 7)
RECORDS = 3000


def uneven(seed: int) -> tuple[list[str], list[list[str]]]:
    """Records of no reference and of many, of short texts and of long ones, most of them late."""
    draw = random.Random(seed)
    words = [*"abcdefgh", "caf\u00e9", "\u732b\u304c", "skateboarding", "'s", "\ud800", "&amp;", "a\x00b", "R.I.P."]

    def text(longest: int) -> str:
        return " ".join(draw.choices(words, k=draw.randrange(longest)))

    hypotheses, references = [], []
    for record in range(RECORDS):
        late = record > 2 * RECORDS // 3
        hypotheses.append(text(400 if record % 500 == 7 else 14))
        references.append([text(300 if record % 700 == 9 else 12) for _ in range(draw.randrange(9 if late else 2))])
    return hypotheses, references


def doors(hypotheses: list[str], references: list[list[str]], tokeniser: str) -> dict[str, Callable[[int], Any]]:
    """All that takes a number of threads, in arrays by name."""
    formulas = [recipe_named(name).formula for name in ("coco", "rouge-score/words", "sacrebleu")]
    prepared = backend.PreparedReferences(references, tokeniser=tokeniser)
    told = {"exact_sum": SUM_COMPENSATES}

    def named(tables: list[Any] | None) -> dict[str, Any]:
        return {str(at): table for at, table in enumerate(tables or [])}

    def count(threads: int) -> dict[str, Any]:
        found = backend.overlap_statistics(hypotheses, references, tokeniser=tokeniser, threads=threads)
        return dataclasses.asdict(found)

    return {
        "counts": count,
        "scores": lambda threads: named(
            backend.overlap_scores(hypotheses, references, formulas, tokeniser=tokeniser, threads=threads, **told)
        ),
        "prepared counts": lambda threads: dataclasses.asdict(prepared.statistics(hypotheses, threads=threads)),
        "prepared scores": lambda threads: named(prepared.scores(hypotheses, formulas, threads=threads, **told)),
    }


def same(found: dict[str, Any], wanted: dict[str, Any], what: object) -> None:
    assert list(found) == list(wanted)
    for name, column in wanted.items():
        assert found[name].dtype == column.dtype, (what, name)
        np.testing.assert_array_equal(found[name], column, err_msg=f"{what} {name}")


@pytest.mark.parametrize("tokeniser", ["words", "coco-space", "13a"])
def test_any_number_of_threads_gives_what_one_gives(tokeniser: str) -> None:
    for name, door in doors(*uneven(1), tokeniser).items():
        alone = door(1)
        for threads in THREADS[1:]:
            for _ in range(3):
                same(door(threads), alone, (name, threads))


def test_what_one_thread_gives_is_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose pairs are many more than the first rows let expect, too."""
    hypotheses, references = uneven(2)
    found = backend.overlap_statistics(hypotheses, references, tokeniser="words", threads=3)
    monkeypatch.setenv("M4I_FAST_KERNELS", "reference")
    truth = backend.overlap_statistics(hypotheses, references, tokeniser="words")
    same(dataclasses.asdict(found), dataclasses.asdict(truth), "truth")


def test_any_number_of_threads_gives_the_same_counts_of_ids() -> None:
    hypotheses, references = uneven(3)
    numbering = Numbering("whitespace")
    said = numbering.ids(hypotheses)
    wanted = numbering.ids([text for row in references for text in row])
    rows = np.cumsum([0, *map(len, references)])
    alone = dataclasses.asdict(id_statistics(said, wanted, rows, threads=1))
    for threads in THREADS[1:]:
        same(dataclasses.asdict(id_statistics(said, wanted, rows, threads=threads)), alone, threads)
        np.testing.assert_array_equal(subsequence_lengths(said, wanted, rows, threads=threads), alone["lcs"])


def count_of(hypotheses: object, references: object, threads: int, encode: Callable[[str], bytes] | None = None) -> Any:
    """What the core itself says, before the backend makes a sentence of it."""
    way = TOKENISERS["13a"]
    machine = CORE.machines()[0]
    return CORE.overlap_statistics(hypotheses, references, way.number, encode or way.encode, machine, threads)


@pytest.mark.parametrize("threads", THREADS)
def test_the_earliest_error_is_the_one_that_is_raised(threads: int) -> None:
    counts = [sys.getrefcount(text) for text in TEXTS[:3]]
    for first, second in ((700, 701), (700, 2999), (0, 1), (2998, 2999)):
        hypotheses: list[Any] = list(TEXTS)
        references: list[Any] = [[text] for text in TEXTS]
        hypotheses[first], references[second] = b"a dog", "a dog"
        for _ in range(5):
            with pytest.raises(TypeError, match="a text is not a plain string"):
                count_of(hypotheses, references, threads)
        hypotheses[first], hypotheses[second] = TEXTS[first], b"a dog"
        references[first], references[second] = "a dog", [TEXTS[second]]
        for _ in range(5):
            with pytest.raises(TypeError, match="the references of a record are neither a list nor a tuple"):
                count_of(hypotheses, references, threads)
    del hypotheses, references
    assert [sys.getrefcount(text) for text in TEXTS[:3]] == counts


TEXTS = [f"a dog {record} &amp; a cat" for record in range(RECORDS)]


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_of_python_comes_through_as_it_is(threads: int) -> None:
    """The tokeniser is Python, and its errors come of whichever thread asked it."""
    rows = [[text] for text in TEXTS]

    def encode(text: str) -> bytes:
        number = int(text.split()[2])
        if number >= 1234:
            raise ArithmeticError(number)
        return text.encode()

    for _ in range(5):
        with pytest.raises(ArithmeticError) as caught:
            count_of(TEXTS, rows, threads, encode)
        assert caught.value.args == (1234,)


@pytest.mark.parametrize("threads", THREADS)
def test_texts_are_asked_of_python_in_their_order_and_by_as_many_threads_as_are_wanted(threads: int) -> None:
    asked, askers = [], set()

    def encode(text: str) -> bytes:
        asked.append(int(text.split()[2]))
        askers.add(threading.get_ident())
        return text.encode()

    count_of(TEXTS, [[] for _ in TEXTS], threads, encode)
    assert asked == list(range(RECORDS))
    assert threading.get_ident() in askers
    assert len(askers) <= threads


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("side", ["hypotheses", "references"])
def test_a_list_that_shrinks_while_it_is_read(side: str, threads: int) -> None:
    hypotheses, rows = list(TEXTS), [[text] for text in TEXTS]

    def encode(text: str) -> bytes:
        del (hypotheses if side == "hypotheses" else rows)[2000:]
        return text.encode()

    with pytest.raises(ValueError, match="a list was changed while it was read"):
        count_of(hypotheses, rows, threads, encode)


def run(code: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **more})


ENDLESS = """
import signal, sys, threading, time
from m4i_fast.kernels.backend import overlap_statistics
texts = [f"a dog {number} &amp; a cat that sleeps" for number in range(20_000)]
rows = [[text] * 5 for text in texts]
tokeniser, threads = sys.argv[1], int(sys.argv[2])

def count():
    while True:
        overlap_statistics(texts, rows, tokeniser=tokeniser, threads=threads)
"""


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("tokeniser", ["words", "13a"])
def test_ctrl_c_is_heard_within_a_call(tokeniser: str, threads: int) -> None:
    done = run(
        ENDLESS
        + "begun = time.monotonic()\n"
        + "overlap_statistics(texts, rows, tokeniser=tokeniser, threads=threads)\n"
        + "once = time.monotonic() - begun\n"
        + "texts, rows = texts * 200, rows * 200\n"
        + "threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()\n"
        + "begun = time.monotonic()\n"
        + "try:\n    overlap_statistics(texts, rows, tokeniser=tokeniser, threads=threads)\n"
        + "except KeyboardInterrupt:\n    took = time.monotonic() - begun\n"
        + "    print('heard' if took < 0.3 + 20 * once else f'late: {took} s, {once} s')\n"
        + "print(threading.active_count(), overlap_statistics(['a'], [['a']], tokeniser='words').lcs.tolist())\n",
        tokeniser,
        threads,
    )
    assert done.stdout.split("\n")[0] == "heard", (done.returncode, done.stderr[-500:])
    assert done.stdout.endswith("[1]\n")


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("tokeniser", ["words", "13a"])
def test_an_interpreter_ends_while_others_count(tokeniser: str, threads: int) -> None:
    """Up to CPython 3.13 threads that ask for the GIL then are unwound, which used to abort the process."""
    code = ENDLESS + "for _ in range(3): threading.Thread(target=count, daemon=True).start()\ntime.sleep(0.3)\n"
    done = run(code, tokeniser, threads)
    assert done.returncode == 0, done.stderr[-500:]


WHOLE = """
import dataclasses, hashlib
import numpy as np
from tests.kernels.test_crew import doors, id_statistics, subsequence_lengths, uneven, Numbering
hypotheses, references = uneven(4)
found = []
for threads in (1, 3):
    for door in doors(hypotheses, references, "coco-space").values():
        found += door(threads).values()
    numbering = Numbering()
    said, wanted = numbering.ids(hypotheses), numbering.ids(hypotheses[::-1])
    found += dataclasses.asdict(id_statistics(said, wanted, threads=threads)).values()
    found.append(subsequence_lengths(said, wanted, threads=threads))
print(len(found), hashlib.sha256(b"".join(np.ascontiguousarray(column).tobytes() for column in found)).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux fills memory on request")
def test_every_number_is_written() -> None:
    """Results lie in memory that nobody fills; here it holds rubbish, of two kinds."""
    first, second = (run(WHOLE, MALLOC_PERTURB_=byte) for byte in ("85", "170"))
    assert first.returncode == 0, first.stderr[-500:]
    assert first.stdout.startswith(tuple("123456789"))
    assert first.stdout == second.stdout
