"""The nouns of the house: frozen, numpy only, joined by ``id`` alone.

Arrays are not copied; treat them as read-only. Scores have one sign: larger is more member-like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = [
    "AttackResult",
    "Embeddings",
    "Estimate",
    "FeatureTable",
    "Generations",
    "ImageBatch",
    "Membership",
    "MembershipScores",
    "OverlapScores",
    "Record",
    "RocCurve",
    "Verdict",
]

FloatArray = npt.NDArray[np.float64]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One audited item: a picture, and the captions known of it.

    A struct: runs make them by the million, in a fifth of a dataclass's time, and the garbage collector, which can find
    nothing in them, does not look at them.

    Attributes:
        id: unique in its set; the only join key.
        image: path of the image file, absolute or relative to the working folder; or another locator
            (``m4i_fast.data.locators``): an object of a store, a member of a tar, a cell of a Parquet file.
        references: ground-truth captions; may be empty (the owner has pictures only).
        group: resampling unit; records of one image or one study share it. Usually the id.
        error: why the record cannot be read, or None.
        image_sha256: of the image's bytes, in hex, when the record was made; None where it was not looked at.
    """

    id: str
    image: str
    references: tuple[str, ...] = ()
    group: str = ""
    error: str | None = None
    image_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Decoded pictures. ``pixels``: uint8 [N, H, W, 3], RGB. ``errors[i]``: why picture i is blank, or None."""

    ids: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    errors: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Generations:
    """What a captioner answered.

    Attributes:
        ids: N record ids.
        texts: N captions; empty where ``errors`` is set.
        tokens: int32 [N, T] token ids, padded with 0; T may be 0 for endpoints.
        lengths: int32 [N], number of tokens before the end mark.
        log_probs: float32 [N, T] natural log-probabilities of the tokens, or None where the engine gives none.
        errors: N reasons, or None for a good row.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    tokens: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    log_probs: npt.NDArray[np.float32] | None
    errors: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of an encoder. ``values``: float32 [N, D]; rows that could not be encoded are NaN."""

    ids: tuple[str, ...]
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class OverlapScores:
    """Overlap of one hypothesis with its references, a column a metric.

    Attributes:
        ids: N record ids.
        names: F of rouge_1, rouge_2, rouge_l, bleu_1 .. bleu_4.
        values: float64 [N, F]; NaN where the record has no hypothesis or no reference.
        recipe: the signature of the metric, for example ``rouge_l|recipe:coco|tok:words|...``.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    values: FloatArray
    recipe: str


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Input of an attack. ``values``: float64 [N, F]; ``recipe`` must be equal for shadow and target."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    values: FloatArray
    recipe: str


@dataclass(frozen=True, slots=True)
class Membership:
    """Labels. ``is_member``: bool [N]. The target's are opened at evaluation alone."""

    ids: tuple[str, ...]
    is_member: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MembershipScores:
    """Scores of one attack. ``values``: float64 [N], larger = more member-like; NaN where it cannot say."""

    attack: str
    ids: tuple[str, ...]
    values: FloatArray
    threshold: float = 0.0  # learned on the shadow: score > threshold is called a member


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RocCurve:
    """One point a distinct score (whole tie blocks), both end points included, fpr and tpr float64 [P]."""

    fpr: FloatArray
    tpr: FloatArray


@dataclass(frozen=True, slots=True)
class AttackResult:
    """One attack (or blind classifier) judged.

    Attributes:
        name: the attack.
        auc: area under the ROC with ties counted half.
        balanced_accuracy: at the shadow's threshold (blind classifiers: at 0.5 of the cross-validated score).
        tpr_at_fpr: keys "0.1", "0.01", "0.001"; None where too few non-members stand behind it.
        notes: reasons for each None, and anything a reader must know.
        roc: the curve behind it.
    """

    name: str
    auc: Estimate
    balanced_accuracy: Estimate | None
    tpr_at_fpr: dict[str, Estimate | None]
    notes: tuple[str, ...] = ()
    roc: RocCurve | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``kind``: leak, no_evidence or invalid. ``reasons``: plain sentences, the first is the headline."""

    kind: str
    reasons: tuple[str, ...]
