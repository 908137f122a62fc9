"""The settings of an audit: what ``audit.toml`` may hold. docs/audit.md explains every key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from m4i_fast.train.settings import CaptionerSettings, TowerSettings

__all__ = [
    "AttackSettings",
    "AuditSettings",
    "DataSettings",
    "EncoderSettings",
    "EndpointSettings",
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


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A deployed captioner, and what it may cost. docs/endpoints.md explains every key.

    ``qps``: requests a second; None: 5, and no limit on this machine; 0: no limit. ``key_env``, ``key_file``: where the
    key is to be found; it is never written anywhere. ``max_cost`` is in the money of the prices.
    """

    url: str
    protocol: Literal["openai", "kserve", "kserve-grpc", "hf"]
    model: str | None = None
    prompt: str | None = None
    system: str | None = None
    max_tokens: Positive = 64
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    seed: int | None = 0
    options: dict[str, Any] = {}
    qps: Annotated[float, msgspec.Meta(ge=0)] | None = None
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 8
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    max_queries: Count | None = None
    max_cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    price_query: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    price_prompt_token: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    price_completion_token: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    key_env: str | None = None
    key_file: str | None = None
    private: bool = False
    rows: Positive = 8
    image_size: Positive | None = None
    image_input: str | None = None
    prompt_input: str | None = None
    text_output: str | None = None
    canary_every: Count = 1000
    cache: str | None = None
    use_cache: bool = True


class SideSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target or the shadow: an engine, an endpoint, or how to train one.

    Its records and labels are named here where no split draws them.
    """

    engine: str | None = None
    endpoint: EndpointSettings | None = None
    train: CaptionerSettings | None = None
    data: DataSettings | None = None
    membership: str | None = None


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The two towers: a folder that holds image.onnx and text.onnx, or how to train them here."""

    folder: str | None = None
    train: TowerSettings | None = None
    data: DataSettings | None = None


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How engines are run, and what is asked of each record beside its plain picture."""

    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    batch: Positive | Literal["auto"] = 32
    threads: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    ray: str | None = None
    samples: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    augment: tuple[str, ...] = ()


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
