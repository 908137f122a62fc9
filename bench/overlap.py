"""``m4i-fast bench overlap``: what ROUGE and BLEU cost here, what they cost elsewhere, and which promises are kept.

All figures but those of two threads come from one race on one core. Each row of ``ROWS`` names who is timed against
whom; one whose contenders are not here is told with the reason, never left out. Targets that are missed are a result,
not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from m4i_fast.bench.agreement import agreement
from m4i_fast.bench.environment import environment, load_average
from m4i_fast.bench.figures import Agreement, Figure, Findings
from m4i_fast.bench.harness import LEAST_S, Contender, Race, Spread, cores_here, pinned, quiet, race, spread, steps
from m4i_fast.bench.rivals import DISTRIBUTIONS, RIVALS, Unavailable, one_rust_thread
from m4i_fast.bench.stall import Stall
from m4i_fast.bench.texts import IMAGES, REPORTS, Texts, made_captions
from m4i_fast.errors import ConfigError
from m4i_fast.kernels import backend
from m4i_fast.progress import progress

__all__ = ["ROUNDS", "ROWS", "Row", "names_of", "overlap_bench"]

ROUNDS: Final = 9
ROUGE_RIVALS: Final = ("rouge-score-rs", "rouge-score-rs-batch", "rouge-rust")
LONG_RIVALS: Final = (*ROUGE_RIVALS, "rapidrouge", "rouge-score", "rapidfuzz-ids")
ROWS_WITHOUT_CORE: Final = 100
EIGHT: Final = "ROUGE-1/2/L, coco ROUGE-L and BLEU-1..4"
THREADS: Final = "threads"  # figures of this name, or beginning with it, are raced on two cores


@dataclass(frozen=True, slots=True)
class Row:
    """A figure before it is measured.

    Attributes:
        name: of the figure, and of the contender that it is about where ``ours`` is empty.
        unit: of its value; ``x`` where ``against`` is not empty.
        what: in words.
        target: the promise; None for a figure that informs.
        ours: the contender that it is about.
        against: the fastest of these in each round is what ``ours`` is compared with.
        note: what the reader must know.
    """

    name: str
    unit: str
    what: str
    target: float | None = None
    ours: str = ""
    against: tuple[str, ...] = ()
    note: str = ""

    @property
    def contender(self) -> str:
        """``ours``."""
        return self.ours or self.name

    @property
    def at_least(self) -> bool:
        """Whether more is better: of rates and ratios, not of times."""
        return self.unit == "x" or self.unit.endswith("/s")


# fmt: off - a table
PROMISED: Final = (
    Row(
        "strings",
        "rows/s",
        f"list[str] to {EIGHT}; one caption, five references",
        2e6,
        note="overlaps() with the recipes coco and rouge-score/words, which share their counting",
    ),
    Row(
        "strings-ratio",
        "x",
        "the same, to the faster of rouge-score-rs and rouge-rust (ROUGE-1/2/L alone)",
        15,
        "strings",
        ROUGE_RIVALS,
        "their words are runs of a-z and 0-9, ours keep other letters and the apostrophe",
    ),
    Row(
        "prepared",
        "rows/s",
        f"prepared references, list[str] to {EIGHT}",
        3.5e6,
        note="References.scores() with the recipes coco and rouge-score/words, which share their counting",
    ),
    Row("lcs", "ns/pair", "the subsequence of packed ids, in the order given", 8),
    Row("lcs-ratio", "x", "the same, to rapidfuzz on encoded ids", 25, "lcs", ("rapidfuzz-ids",)),
    Row("statistics", "ns/pair", "the subsequence and all clipped 1..4-grams of packed ids", 20),
    Row("ptb", "captions/s", "the native PTB tokeniser, list[str] to list[str], exact", 1.5e6),
    Row("ptb-ratio", "x", "the same, to pycocoevalcap's in Java", 100, "ptb", ("java-ptb",)),
    Row(
        "reports-ratio",
        "x",
        f"reports of 60-300 tokens: {EIGHT}, to the best rival's ROUGE-1/2/L",
        10,
        "reports",
        tuple(f"reports/{name}" for name in ROUGE_RIVALS),
    ),
    Row(
        "threads",
        "x",
        "two threads to one, from strings to the scores of coco",
        1.8,
        "threads/2",
        ("threads/1",),
        "wall time, on two cores",
    ),
    Row("sacrebleu-ratio", "x", "recipe sacrebleu to sacrebleu", 100, "recipe/sacrebleu", ("sacrebleu",)),
    Row("nltk-ratio", "x", "recipe nltk to nltk", 100, "recipe/nltk", ("nltk",)),
    Row("nearest", "s", "all against all, from strings: for 10,000 captions the 5 nearest of 10,000 others", 3),
    Row(
        "import",
        "ms",
        "import m4i_fast.kernels._core, and all that it draws in",
        3,
        note="in a fresh interpreter, whose own start is not in it; files in the system's cache",
    ),
)
INFORMING: Final = (
    Row("strings-coco", "rows/s", "list[str] to the scores of coco, overlap()", ours="recipe/coco"),
    Row(
        "strings-rouge-score",
        "rows/s",
        "list[str] to the scores of rouge-score on its own words, overlap()",
        ours="recipe/rouge-score",
    ),
    Row("strings-sacrebleu", "rows/s", "list[str] to the scores of sacrebleu, overlap()", ours="recipe/sacrebleu"),
    Row("strings-nltk", "rows/s", "list[str] to the scores of nltk, overlap()", ours="recipe/nltk"),
    Row(
        "strings-unicode",
        "rows/s",
        f"as strings: list[str] to {EIGHT}",
        note="half of the different words have accents or are in Cyrillic letters",
    ),
    Row("prepared-coco", "rows/s", "prepared references, list[str] to the scores of coco, References.score()"),
    Row("reports", "rows/s", f"reports of 60-300 tokens, one reference: {EIGHT}"),
    Row("duplicates", "rows/s", f"'a a a ...', 60-300 times: {EIGHT}"),
    Row(
        "duplicates-ratio",
        "x",
        "the same, to the best rival's ROUGE-1/2/L",
        None,
        "duplicates",
        tuple(f"duplicates/{name}" for name in ROUGE_RIVALS),
    ),
    Row(
        "threads-statistics",
        "x",
        "two threads to one, from strings to counts",
        None,
        "threads-statistics/2",
        ("threads-statistics/1",),
        "wall time, on two cores",
    ),
    Row(
        "threads-ids",
        "x",
        "two threads to one, from packed ids to counts",
        None,
        "threads-ids/2",
        ("threads-ids/1",),
        "wall time, on two cores",
    ),
    Row("import-file", "ms", "of that, what is left where the packages around it are imported already"),
    Row("import-api", "ms", "import m4i_fast.text.overlap in a fresh interpreter, NumPy included"),
    *(Row(f"backend/{name}", "rows/s", f"the scores of coco on the backend {name}") for name in backend.BACKENDS),
    *(Row(name, rival.unit, rival.what, note=rival.note) for name, rival in RIVALS.items()),
    *(
        Row(f"{kind}/{name}", RIVALS[name].unit, RIVALS[name].what)
        for kind in ("reports", "duplicates")
        for name in LONG_RIVALS
    ),
)
# fmt: on
ROWS: Final = (*PROMISED, *INFORMING)
"""Every figure, the promised ones first."""


def names_of(only: Sequence[str]) -> list[str]:
    """Figures that match one of the patterns (``lcs*``); all where there is no pattern.

    Raises:
        ConfigError: a pattern matches none.
    """
    known = [row.name for row in ROWS]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ConfigError(
                f"'{pattern}' is no figure of this bench", where="--only", cure=f"Known are: {', '.join(known)}."
            )
    return [name for name in known if not only or any(fnmatchcase(name, pattern) for pattern in only)]


def overlap_bench(
    captions: Texts | None = None,
    *,
    rows: int | None = None,
    rounds: int = ROUNDS,
    only: Sequence[str] = (),
    least_s: float = LEAST_S,
) -> Findings:
    """Time everything and compare.

    Args:
        captions: what is scored; without them, made ones.
        rows: at most so many rows of captions, and of reports.
        rounds: how often each contender is timed.
        only: patterns of figure names.
        least_s: the shortest timing, in seconds.

    Raises:
        ConfigError: ``only`` names no figure, or ``M4I_FAST_KERNELS`` is wrong.
    """
    names = set(names_of(only))
    wanted = [row for row in ROWS if row.name in names]
    if backend.core_in_use() is None:
        rows = min(rows or ROWS_WITHOUT_CORE, ROWS_WITHOUT_CORE)
    stall = Stall(
        captions.some(rows or len(captions)) if captions else made_captions(rows or IMAGES), reports=rows or REPORTS
    )
    facts = environment(DISTRIBUTIONS.values())
    cores = cores_here()
    entered = _enter(stall, wanted)
    alone = [each for name, each in entered.ready.items() if not name.startswith(THREADS)]
    together = [each for name, each in entered.ready.items() if name.startswith(THREADS)]
    # The bar is drawn between timings only: a thread that draws would be timed with the rest.
    with progress("bench overlap", steps(alone, rounds) + steps(together, rounds), live=False) as advance:
        with pinned(cores[-1:]) as is_pinned, one_rust_thread(), quiet():
            agreed = dict(_agreements(stall, entered.ready))
            on_one = race(alone, rounds=rounds, least_s=least_s, advance=advance)
        with pinned(cores[:2]):
            on_two = race(together, rounds=rounds, least_s=least_s, advance=advance)
    figures = [_figure(row, entered, on_two if row.name.startswith(THREADS) else on_one, agreed) for row in wanted]
    method = {
        "order": "interleaved: a round times all contenders in turn, each after a call that is not timed",
        "rounds": rounds,
        "least_s": least_s,
        "clock": "CPU time; of two threads, wall time",
        "value": "median over rounds, with quartiles; a ratio is formed within each round",
        "core": f"one, number {cores[-1]}" if is_pinned else "not pinned: this system cannot",
        "wall_per_cpu": round(on_one.disturbance(), 3),
    }
    facts |= {"load_average": {"before": facts["load_average"], "after": load_average()}}
    facts |= {"captions": stall.captions.source, "reports": stall.reports.source}
    return Findings("overlap", tuple(figures), tuple(agreed.values()), method, facts)


@dataclass(frozen=True, slots=True)
class _Entered:
    """Contenders that are ready, why others are not, and who does less than its figure says."""

    ready: Mapping[str, Contender]
    absent: Mapping[str, str]
    partial: Mapping[str, str]


def _enter(stall: Stall, rows: Iterable[Row]) -> _Entered:
    ready: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    for name in dict.fromkeys(name for row in rows for name in (row.contender, *row.against)):
        try:
            ready[name] = stall.contender(name)
        except Unavailable as error:
            absent[name] = str(error)
    return _Entered(ready, absent, stall.partial)


def _agreements(stall: Stall, names: Iterable[str]) -> Iterator[tuple[str, Agreement]]:
    for name in names:
        rival = stall.rival(name)
        found = agreement(rival, stall.texts_of(name)) if rival else None
        if found is not None:
            yield name, Agreement(name, found.what, found.compared, found.differ)


def _figure(row: Row, entered: _Entered, raced: Race, agreed: Mapping[str, Agreement]) -> Figure:
    contenders = (row.contender, *row.against)
    missing = list(dict.fromkeys(entered.absent[name] for name in contenders if name in entered.absent))
    weak = [entered.partial[name] for name in contenders if name in entered.partial]
    weak += [
        f"{name} says something else: see agreement" for name in row.against if name in agreed and agreed[name].differ
    ]
    notes = [f"not measured: {' '.join(missing)}"] if missing else [*([row.note] if row.note else []), *weak]
    return Figure.of(
        row.name,
        None if missing else _value(row, raced),
        unit=row.unit,
        what=row.what,
        target=row.target,
        at_least=row.at_least,
        note="; ".join(notes),
        comparable=not weak,
    )


def _value(row: Row, raced: Race) -> Spread:
    wall = row.name.startswith(THREADS)
    if row.against:
        return spread(raced.ratio(row.contender, row.against, wall=wall))
    seconds = raced.seconds(row.contender, wall=wall)
    if row.unit.endswith("/s"):
        return spread(1 / seconds)
    return spread(seconds * {"ns/pair": 1e9, "ms": 1e3, "s": 1.0}[row.unit])
