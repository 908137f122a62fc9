"""What an engine says about itself: one JSON text under the key ``m4i_fast`` of the ONNX metadata.

A graph alone does not tell its vocabulary, the size of its pictures or how it decodes; a wrong guess would give wrong
scores without any error. So an engine without this text is refused.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from m4i_fast.errors import EngineError

__all__ = ["KEY", "SCHEMA", "EngineMetadata", "Kind", "from_json", "to_json"]

KEY = "m4i_fast"
"""The key in the ONNX ``metadata_props``."""

SCHEMA = 1

Kind = Literal["captioner", "image_encoder", "text_encoder", "head"]

_EXPORT = "Make the engine with: m4i-fast export"
_NEEDED: dict[str, tuple[str, ...]] = {
    "captioner": ("image_size", "vocabulary", "max_tokens"),
    "image_encoder": ("image_size",),
    "text_encoder": ("vocabulary", "max_tokens"),
    "head": ("features", "recipe", "threshold"),
}


class EngineMetadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What travels with a graph.

    Attributes:
        kind: what the graph does, and so which inputs and outputs it has.
        name: a short name for tables, for example ``"resnet152-lstm"`` or the attack of a head.
        schema: version of this record; another one is refused.
        image_size: height and width of the pictures in pixels (captioner, image encoder).
        vocabulary: words by token id, the four specials included (captioner, text encoder).
        max_tokens: longest output of a captioner, width of a text encoder's input.
        decoding: how tokens are chosen, for example ``{"kind": "greedy", "max_tokens": 20}``.
        dim: length of an encoder's vectors.
        features: names of a head's inputs, in order.
        recipe: the recipe of the features that a head was fitted on; must equal the target's.
        threshold: a head's threshold, learned on the shadow: score > threshold is called a member.
        weights_sha256: hash of the weights that the graph was exported from.
        about: anything else worth reading, text by name.
    """

    kind: Kind
    name: str
    schema: int = SCHEMA
    image_size: int | None = None
    vocabulary: list[str] | None = None
    max_tokens: int | None = None
    decoding: dict[str, Any] | None = None
    dim: int | None = None
    features: list[str] | None = None
    recipe: str | None = None
    threshold: float | None = None
    weights_sha256: str | None = None
    about: dict[str, str] = msgspec.field(default_factory=dict)


def to_json(metadata: EngineMetadata) -> str:
    """The text to store under ``KEY``: compact JSON, absent fields left out, the schema always written."""
    plain = {name: value for name, value in msgspec.to_builtins(metadata).items() if value is not None}
    return msgspec.json.encode(plain).decode()


def from_json(text: str | None, where: object, *, kind: Kind | None = None) -> EngineMetadata:
    """Read and check the text of an engine.

    Args:
        text: what stood under ``KEY``, or None where nothing did.
        where: the engine's path, for messages.
        kind: the kind that is wanted; None accepts all.

    Raises:
        EngineError: no metadata, not the JSON that it must be, an unknown schema, the wrong kind, or a field that its
            kind cannot do without is missing.
    """
    if text is None or not text.strip():
        raise EngineError(f"no metadata: the graph has no entry '{KEY}'", where=where, cure=_EXPORT)
    try:
        header = msgspec.json.decode(text, type=_Header)
        if header.schema != SCHEMA:
            raise EngineError(
                f"its metadata has schema {header.schema}, this version reads schema {SCHEMA}",
                where=where,
                cure="Export the engine again with this version of m4i-fast.",
            )
        metadata = msgspec.json.decode(text, type=EngineMetadata)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise EngineError(f"its metadata cannot be read ({error})", where=where, cure=_EXPORT) from error
    if kind is not None and metadata.kind != kind:
        wanted, found = kind.replace("_", " "), metadata.kind.replace("_", " ")
        raise EngineError(
            f"this engine is of the wrong kind: {found} ('{metadata.name}'), where {_article(wanted)} is needed",
            where=where,
            cure=f"Give the path of {_article(wanted)}.",
        )
    _check(metadata, where)
    return metadata


class _Header(msgspec.Struct, frozen=True):
    # Read first, so that a later schema is refused as such and not for a field that it has changed.
    schema: int


def _check(metadata: EngineMetadata, where: object) -> None:
    missing = [name for name in _NEEDED[metadata.kind] if getattr(metadata, name) is None]
    if missing:
        raise EngineError(f"its metadata lacks {', '.join(missing)}", where=where, cure=_EXPORT)
    for name in ("image_size", "max_tokens", "dim"):
        value = getattr(metadata, name)
        if value is not None and value < 1:
            raise EngineError(f"its metadata says {name} = {value}, which must be positive", where=where, cure=_EXPORT)
    if metadata.vocabulary is not None and len(metadata.vocabulary) < 4:
        raise EngineError(
            f"its vocabulary has {len(metadata.vocabulary)} entries, and the four specials alone are 4",
            where=where,
            cure=_EXPORT,
        )
    if metadata.weights_sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", metadata.weights_sha256):
        raise EngineError("its weights_sha256 is not a SHA-256 in hex", where=where, cure=_EXPORT)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
