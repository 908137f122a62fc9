"""The records that an attacker would name first, with a small picture of each."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from m4i_fast.types import Generations, Membership, MembershipScores, OverlapScores, Record

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Risky", "false_alarms", "riskiest", "thumbnail"]

LONGEST_SIDE = 160  # pixels of a thumbnail


@dataclass(frozen=True, slots=True)
class Risky:
    """One of the riskiest records.

    Attributes:
        record: the record.
        caption: what the model said of it, or None.
        score: the attack's score.
        is_member: the label, or None where there is none.
        false_alarms: how many non-members score at least as high, or None without labels.
        non_members: how many non-members were scored.
        overlap: ROUGE-L of the caption with the references, or None.
        picture: ``data:image/jpeg;base64,...``, or None where the picture cannot be read.
    """

    record: Record
    caption: str | None
    score: float
    is_member: bool | None
    false_alarms: int | None
    non_members: int
    overlap: float | None
    picture: str | None


def riskiest(
    scores: MembershipScores,
    records: Sequence[Record],
    *,
    generations: Generations | None,
    membership: Membership | None,
    overlap: OverlapScores | None,
    count: int,
    images: Path | None = None,
) -> list[Risky]:
    """The ``count`` records with the highest scores, ties by id; non-members too, for the attacker cannot tell.

    Args:
        scores: of one attack; NaN rows are left out.
        records: joined by id.
        generations: captions, joined by id.
        membership: labels, joined by id.
        overlap: joined by id.
        count: how many.
        images: where relative image paths start; None: the working folder.
    """
    finite = np.flatnonzero(np.isfinite(scores.values))
    ids = np.asarray(scores.ids, dtype=object)[finite]
    values = scores.values[finite]
    # Only what can make the list is sorted by id: at least the count-th highest score.
    bar = np.partition(values, len(values) - count)[len(values) - count] if len(values) > count else -np.inf
    candidates = sorted((-value, id_) for value, id_ in zip(values[values >= bar], ids[values >= bar], strict=True))
    chosen = [(str(id_), -float(value)) for value, id_ in candidates[:count]]

    known = {record.id: record for record in records}
    said = dict(zip(generations.ids, generations.texts, strict=True)) if generations else {}
    labels = dict(zip(membership.ids, membership.is_member.tolist(), strict=True)) if membership else {}
    overlaps = {}
    if overlap and "rouge_l" in overlap.names:
        column = overlap.values[:, overlap.names.index("rouge_l")]
        overlaps = dict(zip(overlap.ids, column.tolist(), strict=True))
    alarms, non_members = false_alarms(scores, membership, np.array([score for _, score in chosen]))
    rows = []
    for index, (id_, score) in enumerate(chosen):
        record = known.get(id_, Record(id_, ""))
        value = overlaps.get(id_)
        rows.append(
            Risky(
                record=record,
                caption=said.get(id_) or None,
                score=score,
                is_member=labels.get(id_),
                false_alarms=None if alarms is None else int(alarms[index]),
                non_members=non_members,
                overlap=value if value is not None and np.isfinite(value) else None,
                picture=_picture_of(record.image, images) if record.image else None,
            )
        )
    return rows


def false_alarms(
    scores: MembershipScores, membership: Membership | None, at: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]] | None, int]:
    """For each score in ``at``, how many non-members score at least as high; and how many non-members there are.

    Returns:
        int64 [len(at)] (None without labels or without non-members), and the number of non-members with a score.
    """
    if membership is None:
        return None, 0
    others = {id_ for id_, member in zip(membership.ids, membership.is_member.tolist(), strict=True) if not member}
    mask = np.fromiter((id_ in others for id_ in scores.ids), bool, len(scores.ids))
    values = np.sort(scores.values[mask & np.isfinite(scores.values)])
    if not len(values):
        return None, 0
    return len(values) - np.searchsorted(values, at, side="left"), len(values)


def _picture_of(image: str, images: Path | None) -> str | None:
    from m4i_fast.data.bytes import ImageReader
    from m4i_fast.data.locators import is_local_file
    from m4i_fast.errors import UserError

    if is_local_file(image):
        return thumbnail((images or Path()) / image)
    try:
        with ImageReader(threads=1) as reader:
            content = reader.read([image])[0]
    except UserError:  # a store's package is missing here
        return None
    return thumbnail(io.BytesIO(content)) if isinstance(content, bytes) else None


def thumbnail(picture_file: Path | BinaryIO) -> str | None:
    """The picture as a ``data:`` URL: a fresh JPEG of at most 160 pixels a side, upright, without metadata.

    Returns:
        None where the file is missing, no picture, too large to open safely or of a kind that Pillow cannot read.
    """
    from PIL import Image, ImageOps

    try:
        if isinstance(picture_file, Path) and not picture_file.is_file():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a decompression bomb is a warning first
            with Image.open(picture_file) as opened:
                opened.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))
                picture = ImageOps.exif_transpose(opened)
                picture = _eight_bits(picture)
                picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG", quality=82, optimize=True)
    except Exception:  # Pillow's decoders raise whatever they meet; the page shows a placeholder
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """RGB; transparency on white, 16 and 32 bit greys stretched from their darkest to their brightest."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        grey = np.asarray(picture, dtype=np.float64)
        low, high = float(np.nanmin(grey)), float(np.nanmax(grey))
        return Image.fromarray(np.uint8(255 * (np.nan_to_num(grey) - low) / ((high - low) or 1.0))).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
