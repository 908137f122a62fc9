"""The settings of an audit: what ``audit.toml`` may hold. docs/audit.md explains every key."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from m4i_fast.train.settings import CaptionerSettings, TowerSettings

__all__ = [
    "AttackSettings",
    "AuditSettings",
    "DataSettings",
    "EncoderSettings",
    "EvaluateSettings",
    "OverlapSettings",
    "QuerySettings",
    "SideSettings",
    "SplitSettings",
]

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A set of captioned images: a file in any form that ``m4i-fast data inspect`` reads."""

    path: str
    images: str | None = None
    format: str = "auto"


class SplitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How records become members, non-members, shadow and encoder records.

    ``iid``: so many of each drawn at random from ``[data]``. ``paper``: the same, but non-members from
    ``[split.non_members]``; ``target_member`` may then be an id list. ``column``: each role names a value of the data's
    own column. ``lists``: each role is a file of ids.
    """

    kind: Literal["iid", "paper", "column", "lists"] = "iid"
    target_member: Count | str | None = None
    target_nonmember: Count | str | None = None
    shadow_member: Count | str | None = None
    shadow_nonmember: Count | str | None = None
    encoder: Count | str | None = None
    column: str = "split"
    non_members: DataSettings | None = None
    near_duplicates: Literal["remove", "keep"] = "remove"


class SideSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target or the shadow: an engine, or how to train one; its records and labels where no split draws them."""

    engine: str | None = None
    train: CaptionerSettings | None = None
    data: DataSettings | None = None
    membership: str | None = None


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The two towers: a folder that holds image.onnx and text.onnx, or how to train them here."""

    folder: str | None = None
    train: TowerSettings | None = None
    data: DataSettings | None = None


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How engines are run."""

    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    batch: Positive = 32
    threads: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0


class OverlapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which ROUGE and BLEU; ``reduce``: the recipe's own way (max) where not given."""

    recipe: str = "coco"
    reduce: Literal["max", "mean"] | None = None


class AttackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which attacks (none named: all that the files allow); ``z``: signed as in the paper, abs as in its code.

    ``heads``: a folder of heads fitted before; then no shadow is needed.
    """

    names: tuple[str, ...] = ()
    heads: str | None = None
    z: Literal["signed", "abs"] = "signed"


class EvaluateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Resamples of the bootstrap."""

    resamples: Annotated[int, msgspec.Meta(ge=200, le=100_000)] = 2000


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole audit."""

    out: str
    seed: Count = 0
    title: str = ""
    data: DataSettings | None = None
    split: SplitSettings = SplitSettings()
    target: SideSettings = SideSettings()
    shadow: SideSettings = SideSettings()
    encoders: EncoderSettings | None = None
    query: QuerySettings = QuerySettings()
    overlap: OverlapSettings = OverlapSettings()
    attack: AttackSettings = AttackSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
