"""result.json: what an audit found, in a form that programs can hold us to.

docs/result-schema.md explains every field. Nothing heavy is imported here, so that a build server can read a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from m4i_fast.errors import DataError, RunFailed

if TYPE_CHECKING:
    from m4i_fast.stats.set_level import SetLevel
    from m4i_fast.types import AttackResult, Estimate, Verdict

__all__ = [
    "RATES",
    "SCHEMA_VERSION",
    "Interval",
    "Judged",
    "Provenance",
    "Rate",
    "Result",
    "Ruling",
    "SetJudged",
    "SetPower",
    "Tool",
    "Unread",
    "from_json",
    "json_schema",
    "read_result",
    "result_from",
    "to_json",
    "write_result",
]

SCHEMA_VERSION = 1

Rate = Literal["0.1", "0.01", "0.001"]
RATES: tuple[Rate, ...] = get_args(Rate)
"""The false-positive rates at which a true-positive rate is given."""

_AGAIN = "Run 'm4i-fast evaluate' again with this version of m4i-fast."


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Tool(_Strict, frozen=True):
    """The program that judged: ``name`` and ``version``."""

    name: str
    version: str


class Interval(_Strict, frozen=True):
    """A figure and its 95 % interval.

    Attributes:
        value: the figure on all records.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.low, self.high))):
            raise ValueError("value, low and high must be finite numbers")
        if self.low > self.high:
            raise ValueError("low lies above high")


class SetPower(_Strict, frozen=True):
    """Sets of ``images`` images each.

    Attributes:
        images: in a set.
        found: share of sets of members that are recognised, where 1 % of sets of non-members may be called too.
        false_alarms: share of sets of non-members that are, measured on others than those that set the limit.
    """

    images: int
    found: Interval
    false_alarms: Interval


class SetJudged(_Strict, frozen=True):
    """All members as one set.

    Attributes:
        p_value: how often a set drawn from where the non-members were drawn would score so high.
        power: by size of the set; empty where there are too few non-members.
    """

    p_value: float
    power: list[SetPower]


class Judged(_Strict, frozen=True):
    """One attack, or one blind baseline, judged against the labels.

    Attributes:
        auc: area under the ROC, ties counted half; 0.5 is guessing, 1 is certainty.
        balanced_accuracy: mean of the two classes' hit rates at the shadow's threshold; null where there is none.
        tpr_at_fpr: by false-positive rate, the share of members found; null where the sample is too small for it.
        notes: why a figure is null, and whatever else a reader must know.
        as_set: what many members tell together; null for a blind baseline.
    """

    auc: Interval
    balanced_accuracy: Interval | None
    tpr_at_fpr: dict[Rate, Interval | None]
    notes: list[str] = []
    as_set: SetJudged | None = None

    def __post_init__(self) -> None:
        missing = [rate for rate in RATES if rate not in self.tpr_at_fpr]
        if missing:
            raise ValueError(f"tpr_at_fpr lacks {', '.join(missing)}; a rate without a figure is null, not absent")


class Ruling(_Strict, frozen=True):
    """The verdict: its ``kind``, and the ``reasons`` in plain sentences, the headline first."""

    kind: Literal["leak", "no_evidence", "invalid"]
    reasons: list[str]


class Unread(_Strict, frozen=True):
    """A record that could not be read: its ``id`` and the ``reason``."""

    id: str
    reason: str


class Provenance(_Strict, frozen=True, kw_only=True):
    """Where the figures come from.

    Attributes:
        seed: the seed of every random step.
        versions: package name to version.
        hashes: role (data, engine ...) to SHA-256.
        wall_s: stage to wall time, seconds.
        machine: operating system, architecture, cores.
        created: when the verdict was made, ISO 8601 with its zone; empty where reproducible bytes are wanted.
        command: the command line that does it again; empty where settings.toml is enough.
    """

    seed: int
    versions: dict[str, str] = {}
    hashes: dict[str, str] = {}
    wall_s: dict[str, float] = {}
    machine: str = ""
    created: str = ""
    command: str = ""


class Result(_Strict, frozen=True, kw_only=True):
    """All of result.json.

    Attributes:
        schema_version: version of this layout.
        tool: the program.
        verdict: the ruling and its reasons.
        attacks: by name, the attacks that asked the model.
        blind: by name, the baselines that never asked it.
        comparisons: by attack, its AUC minus that of the blind baseline that it beats by least, on the same resamples.
        counts: how many records of each sort.
        recipes: how each metric or feature was computed, by name.
        provenance: seed, versions, hashes, times.
        unread: records that could not be read, and why.
        settings: the merged settings of the run.
    """

    tool: Tool
    verdict: Ruling
    attacks: dict[str, Judged]
    blind: dict[str, Judged]
    comparisons: dict[str, Interval]
    counts: dict[str, int]
    recipes: dict[str, str]
    provenance: Provenance
    unread: list[Unread]
    settings: dict[str, Any]
    schema_version: int = SCHEMA_VERSION


class _Header(msgspec.Struct, frozen=True):
    # Read first, so that a later layout is refused as such and not for a field that it has changed.
    schema_version: int


def to_json(result: Result) -> str:
    """The text of result.json: indented UTF-8 with a final newline; equal results give equal text.

    Raises:
        RunFailed: a number is not finite, which JSON cannot hold.
    """
    plain = msgspec.to_builtins(result)
    place = _not_finite(plain, "$")
    if place:
        raise RunFailed("a number of the result is not finite", where=place)
    ordered = {"schema_version": plain.pop("schema_version"), **plain}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2).decode() + "\n"


def from_json(text: str | bytes, where: object = "result.json") -> Result:
    """Read and check the text of a result.json.

    Args:
        text: the JSON.
        where: the file, for messages.

    Raises:
        DataError: not JSON, another schema version, or a field that is unknown, missing or of the wrong type; the
            message names the place as ``$.verdict.kind``.
    """
    try:
        header = msgspec.json.decode(text, type=_Header)
        if header.schema_version != SCHEMA_VERSION:
            raise DataError(
                f"it has schema version {header.schema_version}, this version reads {SCHEMA_VERSION}",
                where=where,
                cure=_AGAIN,
            )
        return msgspec.json.decode(text, type=Result)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DataError(f"not a result of an audit ({error})", where=where, cure=_AGAIN) from error


def read_result(path: Path) -> Result:
    """``from_json`` of a file.

    Raises:
        DataError: it is missing or not a result.
    """
    if not path.is_file():
        raise DataError("no such file", where=path, cure="Run first: m4i-fast evaluate")
    return from_json(path.read_bytes(), path)


def write_result(path: Path, result: Result) -> None:
    """``to_json`` into a file, whole or not at all."""
    from m4i_fast.runs import atomic_path

    text = to_json(result)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def json_schema() -> dict[str, Any]:
    """The layout as JSON Schema (draft 2020-12), for validators in other languages."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(Result)


def result_from(
    attacks: Sequence[AttackResult],
    blind: Sequence[AttackResult],
    verdict: Verdict,
    *,
    comparisons: Mapping[str, Estimate],
    counts: Mapping[str, int],
    recipes: Mapping[str, str],
    provenance: Provenance,
    sets: Mapping[str, SetLevel] | None = None,
    unread: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Gather the nouns of an evaluation into one Result.

    Args:
        attacks: the attacks that asked the model, in the order of the tables.
        blind: the baselines that did not.
        verdict: the ruling.
        comparisons: by attack, AUC minus that of the blind baseline that it beats by least.
        counts: by sort of record.
        recipes: by metric or feature.
        provenance: seed, versions, hashes, times.
        sets: by attack, its members as one set.
        unread: id to reason.
        settings: JSON values.

    Raises:
        RunFailed: a figure is not finite, or the verdict is of no known kind.
    """
    from m4i_fast import __version__

    try:
        return Result(
            tool=Tool("m4i-fast", __version__),
            verdict=msgspec.convert({"kind": verdict.kind, "reasons": list(verdict.reasons)}, Ruling),
            attacks={each.name: _judged(each, (sets or {}).get(each.name)) for each in attacks},
            blind={each.name: _judged(each) for each in blind},
            comparisons={name: _interval(estimate) for name, estimate in comparisons.items()},
            counts={name: int(count) for name, count in counts.items()},
            recipes=dict(recipes),
            provenance=provenance,
            unread=[Unread(id_, reason) for id_, reason in (unread or {}).items()],
            settings=msgspec.to_builtins(dict(settings or {})),
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise RunFailed(f"the evaluation gave a result that cannot stand ({error})") from error


def _judged(result: AttackResult, as_set: SetLevel | None = None) -> Judged:
    try:
        return Judged(
            auc=_interval(result.auc),
            balanced_accuracy=None if result.balanced_accuracy is None else _interval(result.balanced_accuracy),
            tpr_at_fpr={rate: _interval_or_none(result.tpr_at_fpr.get(rate)) for rate in RATES},
            notes=list(result.notes),
            as_set=None if as_set is None else _set_judged(as_set),
        )
    except ValueError as error:
        raise ValueError(f"{result.name}: {error}") from error


def _set_judged(found: SetLevel) -> SetJudged:
    power = [SetPower(each.size, _interval(each.found), _interval(each.false_alarms)) for each in found.power]
    return SetJudged(float(found.p_value), power)


def _interval(estimate: Estimate) -> Interval:
    return Interval(float(estimate.value), float(estimate.low), float(estimate.high))


def _interval_or_none(estimate: Estimate | None) -> Interval | None:
    return None if estimate is None else _interval(estimate)


def _not_finite(value: object, place: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(f"{place}.{key}", each) for key, each in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{index}]", each) for index, each in enumerate(value)]
    return next((found for where, each in inner if (found := _not_finite(each, where))), None)
