"""``m4i-fast score``: hypotheses against references, of any number, without a run folder."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import ConfigError, DataError, RunError

if TYPE_CHECKING:
    from m4i_fast.data.pairs import Block
    from m4i_fast.report.score_files import ScoreWriter
    from m4i_fast.text.recipes import Recipe

__all__ = ["ScoreSettings", "score_files"]


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """What is counted, and how sure it is.

    Attributes:
        recipes: one or more, as ``m4i_fast.text.recipes`` reads them.
        tokeniser: of all of them, or None for each one's own.
        reduce: of all of them, or None for each one's own.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    recipes: Sequence[str] = ("coco",)
    tokeniser: str | None = None
    reduce: str | None = None
    resamples: int = 2000
    seed: int = 0


def score_files(
    hypotheses: str, references: Sequence[Path], settings: ScoreSettings, *, out: Path | None, again: bool = False
) -> dict[str, Any]:
    """Score all hypotheses; write a row each to ``out``, and give the summary as JSON values.

    Args:
        hypotheses: a file, or ``-``.
        references: as for ``m4i_fast.data.pairs.open_pairs``.
        settings: recipes and intervals.
        out: ``.parquet``, ``.csv`` or ``.jsonl``; None for the summary alone.
        again: replace ``out`` where it stands; never where it is one of the files that are read.

    Raises:
        ConfigError: an unknown recipe, one that is given twice, or an unknown kind of table.
        DataError: the files cannot be read or joined; nothing is written then.
        RunError: ``out`` stands there already, is read from, or its folder is missing.
    """
    from m4i_fast.data.pairs import open_pairs
    from m4i_fast.progress import progress
    from m4i_fast.query.stopping import stopping_cleanly

    started = time.perf_counter()
    recipes = _recipes(settings)
    if out is not None:
        _need_no_input(out, hypotheses, references)
        _need_absent(out, again=again)
    summary = _Summary(recipes)
    pairs = open_pairs(hypotheses, references)
    first = next(pairs.blocks, None)  # a file that is refused at its beginning leaves nothing behind
    blocks = chain([] if first is None else [first], pairs.blocks)
    with (
        stopping_cleanly(),
        _no_collector(),
        _table(out, recipes) as table,
        progress("scoring", pairs.expected) as advance,
    ):
        for block in blocks:
            values = summary.add(block)
            if table is not None:
                table.write(block.ids, values, block.errors)
            advance(len(block))
        summary.need_scored(hypotheses)
    return {
        "hypotheses": hypotheses,
        "references": [str(path) for path in references],
        "formats": list(pairs.formats),
        "out": None if out is None else str(out),
        **summary.facts(settings),
        "wall_s": round(time.perf_counter() - started, 3),
    }


class _Summary:
    """What is kept of the blocks that went by: counts, and sums for the means and BLEU of the whole."""

    def __init__(self, recipes: Mapping[str, Recipe]) -> None:
        from m4i_fast.stats.pools import Pools

        self._recipes = recipes
        self._errors: Counter[str] = Counter()
        self._rows = 0
        # By recipe 7 scores and 14 sums of BLEU, side by side: all are drawn together.
        self._pools = Pools(len(recipes) * (_SCORES + _SUMS))

    def add(self, block: Block) -> Any:
        """Scores of a block, float64 [n, 7 x recipes]; its counts are added up."""
        import numpy as np

        from m4i_fast.text.bleu import BleuSums
        from m4i_fast.text.overlap import counted

        found = counted(block.hypotheses, block.references, list(self._recipes.values()))
        parts = [part for each in found for part in (each.values, BleuSums.of_records(each.counts).columns())]
        rows = np.concatenate(parts, axis=1)
        self._rows += len(block)
        if block.errors is None:
            self._pools.add(rows)
        else:
            good = np.array([error is None for error in block.errors])
            self._pools.add(rows[good])
            self._errors.update(error for error in block.errors if error is not None)
        return found[0].values if len(found) == 1 else np.concatenate([each.values for each in found], axis=1)

    def need_scored(self, name: str) -> None:
        """Hold that there was something to score."""
        if not self._pools.count:
            reasons = ", ".join(f"{count} with {error}" for error, count in self._errors.items())
            raise DataError(
                f"not one of {self._rows} records can be scored ({reasons})" if reasons else "it holds no hypotheses",
                where=name,
                cure="Give a hypothesis and a reference for at least one record.",
            )

    def facts(self, settings: ScoreSettings) -> dict[str, Any]:
        """Counts, means and BLEU of the whole, as JSON values; intervals where there are two records or more."""
        total, count = self._pools.total, self._pools.count
        drawn = self._pools.draws(settings.seed, settings.resamples) if count > 1 else None
        facts = {}
        for index, (name, recipe) in enumerate(self._recipes.items()):
            first = index * (_SCORES + _SUMS)
            scores, sums = slice(first, first + _SCORES), slice(first + _SCORES, first + _SCORES + _SUMS)
            facts[name] = {
                "signature": recipe.signature,
                "mean": _estimates(
                    _names(), total[scores] / count, None if drawn is None else drawn[:, scores] / drawn[:, -1:]
                ),
                "corpus": _corpus(recipe, total[sums], None if drawn is None else drawn[:, sums]),
            }
        return {
            "records": self._rows,
            "scored": count,
            "unscored": dict(self._errors),
            "recipes": facts,
            "intervals": {"level": _level(), "resamples": settings.resamples, "seed": settings.seed},
        }


_SCORES, _SUMS = 7, 14


def _names() -> tuple[str, ...]:
    from m4i_fast.text.recipes import COLUMNS

    return COLUMNS


def _level() -> float:
    from m4i_fast.stats.intervals import LEVEL

    return LEVEL


def _corpus(recipe: Recipe, total: Any, drawn: Any) -> dict[str, Any] | None:
    from m4i_fast.text.bleu import BleuSums
    from m4i_fast.text.recipes import corpus_bleu

    value = corpus_bleu(BleuSums.from_columns(total[None, :]), recipe)
    if value is None:
        return None
    # No text is looked at again: a resample's BLEU is made of its sums.
    draws = None if drawn is None else corpus_bleu(BleuSums.from_columns(drawn), recipe)
    return _estimates(_names()[3:], value[0], draws)


def _estimates(names: Sequence[str], values: Any, drawn: Any) -> dict[str, Any]:
    from m4i_fast.stats.pools import percentiles

    if drawn is None:
        return {
            name: {"value": float(value), "low": None, "high": None} for name, value in zip(names, values, strict=True)
        }
    return {
        name: asdict(percentiles(float(value), column, _level()))
        for name, value, column in zip(names, values, drawn.T, strict=True)
    }


def _recipes(settings: ScoreSettings) -> dict[str, Recipe]:
    """The recipes by the words that they were asked for with."""
    from m4i_fast.text.recipes import recipe_named

    found: dict[str, Recipe] = {}
    for name in settings.recipes:
        recipe = recipe_named(name, tokeniser=settings.tokeniser, reduce=settings.reduce)
        if recipe.as_documents:
            raise ConfigError(
                f"'{name}' takes all texts as one document, and they are scored in blocks here",
                where="--recipe",
                cure="Take coco/ptb, or call m4i_fast.overlap in Python with the whole set.",
            )
        same = next((other for other, each in found.items() if each.signature == recipe.signature), None)
        if same is not None:
            raise ConfigError(f"'{name}' is the same as '{same}'", where="--recipe", cure="Give each recipe once.")
        found[name] = recipe
    return found


def _need_no_input(out: Path, hypotheses: str, references: Sequence[Path]) -> None:
    """Hold that ``out`` is none of the files that are read, by whatever name or link, or as the standard input."""
    try:
        there = out.stat()
    except OSError:  # it does not stand there, or what is wrong with it shows below
        return
    for name in (hypotheses, *map(str, references)):
        with suppress(OSError, ValueError):  # a file that is not there is said when it is read
            read = _standard_input() if name == "-" else Path(name).stat()
            if read is not None and os.path.samestat(there, read):
                raise RunError(
                    f"this is the file that '{name}' is read from", where=out, cure="Choose another name with --out."
                )


def _standard_input() -> os.stat_result | None:
    """What the standard input is; None where it is no file of the system's."""
    fileno = getattr(sys.stdin, "fileno", None)
    return None if fileno is None else os.fstat(fileno())


def _need_absent(out: Path, *, again: bool) -> None:
    from m4i_fast.report.score_files import score_format

    score_format(out)
    if out.is_dir():
        raise RunError("this is a folder", where=out, cure="Give the name of a file, such as scores.parquet.")
    if not out.parent.is_dir():
        # atomic_path would make it, and a name with a typing error would be a new folder somewhere.
        raise RunError("no such folder", where=out.parent, cure="Make it first, or choose another name with --out.")
    if out.exists() and not again:
        raise RunError("it stands there already", where=out, cure="Choose another name, or replace it with --again.")


@contextmanager
def _no_collector() -> Iterator[None]:
    """Blocks are many small tuples without a cycle: Python's collector would walk them in vain, a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _table(out: Path | None, recipes: Mapping[str, Recipe]) -> Iterator[ScoreWriter | None]:
    if out is None:
        yield None
        return
    from m4i_fast.report.score_files import open_score_file

    if len(recipes) == 1:
        names = list(_names())
        (recipe,) = recipes.values()
        metadata = {"recipe": recipe.signature}
    else:
        names = [f"{name}:{metric}" for name in recipes for metric in _names()]
        metadata = {f"recipe:{name}": recipe.signature for name, recipe in recipes.items()}
    with open_score_file(out, names, metadata) as table:
        yield table
