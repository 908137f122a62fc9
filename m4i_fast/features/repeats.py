"""What further captions of a picture tell: of changed pictures (views), and of the same one asked again (samples).

A model that has learned a picture by heart says the same whatever is done to it; of other pictures its captions wander.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.text.overlap import overlap
from m4i_fast.types import FeatureTable

__all__ = ["ALIKE", "Repeats", "pseudo_features", "samples_features", "views_features"]

ALIKE = "rouge-score/words"
"""Recipe by which two captions are alike: its ROUGE-L is the same whichever of the two is the reference."""

FloatArray = npt.NDArray[np.float64]
Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Repeats:
    """All answers about N records, in one order.

    Attributes:
        ids: of the records.
        said: by variant (``""``: the picture as it is) the samples, each N texts, None where there is no answer. The
            first sample of ``""`` is the plain answer.
    """

    ids: tuple[str, ...]
    said: dict[str, list[list[str | None]]]

    @property
    def variants(self) -> tuple[str, ...]:
        """Those of changed pictures."""
        return tuple(variant for variant in self.said if variant)


def views_features(repeats: Repeats) -> FeatureTable:
    """How far captions of the changed picture agree with that of the picture itself (the corruption gap of ICIMIA).

    Returns:
        For each variant ``agree_<variant>``, the ROUGE-L (F1) of its caption and the plain one, and
        ``same_<variant>``, 1.0 where they are equal to the letter; means over the variant's samples. NaN where one of
        the captions is missing.

    Raises:
        AuditError: there is no variant.
    """
    plain = repeats.said[""][0]
    if not repeats.variants:
        raise AuditError("no changed picture was asked about", cure="Ask again with --augment flip,crop")
    names, columns, samples = [], [], []
    for variant in repeats.variants:
        views = repeats.said[variant]
        pairs = [_alike(plain, view) for view in views]
        names += [f"agree_{variant}", f"same_{variant}"]
        columns += [np.mean([agree for agree, _ in pairs], axis=0), np.mean([same for _, same in pairs], axis=0)]
        samples.append(f"{variant}x{len(views)}")
    recipe = f"views|of:{','.join(samples)}|alike:{ALIKE}"
    return FeatureTable(repeats.ids, tuple(names), np.column_stack(columns), recipe)


def samples_features(repeats: Repeats) -> FeatureTable:
    """How far several captions of one picture agree with each other.

    Returns:
        ``repeat_rouge_l``: mean ROUGE-L (F1) over all pairs of samples; ``repeat_same``: share of pairs that are equal
        to the letter. NaN where a sample is missing.

    Raises:
        AuditError: there is one sample only.
    """
    samples = _several(repeats)
    agree, same, pairs = np.zeros(len(repeats.ids)), np.zeros(len(repeats.ids)), 0
    for one, other in combinations(samples, 2):  # pair by pair: all at once would not fit into memory
        more, equal = _alike(one, other)
        agree += more
        same += equal
        pairs += 1
    values = np.column_stack([agree, same]) / pairs
    recipe = f"samples|of:{len(samples)}|alike:{ALIKE}"
    return FeatureTable(repeats.ids, ("repeat_rouge_l", "repeat_same"), values, recipe)


def pseudo_features(repeats: Repeats, references: Sequence[Sequence[str]], *, recipe: str = "coco") -> FeatureTable:
    """Overlap of several captions with the references: a likelihood of the references, from samples alone (SaMIA).

    Args:
        repeats: with two samples or more.
        references: of the N records.
        recipe: of ROUGE.

    Returns:
        ``pseudo_rouge_1``, ``pseudo_rouge_2``, ``pseudo_rouge_l``: means over the samples; ``pseudo_best``: the best
        sample's ROUGE-L. NaN where a sample or all references are missing.

    Raises:
        AuditError: there is one sample only.
        ConfigError: no such recipe.
    """
    samples = _several(repeats)
    tables = []
    for sample in samples:
        found = overlap([text or "" for text in sample], references, recipe=recipe)
        values = found.values[:, [found.names.index(name) for name in ("rouge_1", "rouge_2", "rouge_l")]].copy()
        values[[text is None for text in sample]] = np.nan
        tables.append(values)
        signature = found.recipe
    all_of_them = np.stack(tables)
    values = np.column_stack([all_of_them.mean(axis=0), all_of_them[:, :, 2].max(axis=0)])
    names = ("pseudo_rouge_1", "pseudo_rouge_2", "pseudo_rouge_l", "pseudo_best")
    return FeatureTable(repeats.ids, names, values, f"pseudo|of:{len(samples)}|{signature}")


def _several(repeats: Repeats) -> list[list[str | None]]:
    samples = repeats.said[""]
    if len(samples) < 2:
        raise AuditError(
            "one caption a picture is there, and several are needed",
            cure="Ask again with --samples 5 --temperature 1",
        )
    return samples


def _alike(one: Texts, other: Texts) -> tuple[FloatArray, FloatArray]:
    """ROUGE-L and equality, float64 [N] each; NaN where a text is missing. Two empty captions are alike."""
    table = overlap([text or "" for text in one], [(text or "",) for text in other], recipe=ALIKE)
    agree = table.values[:, table.names.index("rouge_l")].copy()
    same = np.array([a == b for a, b in zip(one, other, strict=True)], np.float64)
    agree[same == 1.0] = 1.0
    missing = np.array([a is None or b is None for a, b in zip(one, other, strict=True)], np.bool_)
    agree[missing] = same[missing] = np.nan
    return agree, same
