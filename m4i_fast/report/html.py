"""report.html: one file without outside resources or scripts, for the people who must decide.

Every text goes through ``plain`` and is then escaped; the page forbids itself all loading and all scripts by a content
security policy, in which its only style sheet is named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from m4i_fast.report import wording
from m4i_fast.report.csv import write_scores_csv
from m4i_fast.report.curves import read_curves
from m4i_fast.report.plain import plain, shorten
from m4i_fast.report.plots import Look, Row, auc_forest, looks_of, roc_chart, score_histogram
from m4i_fast.report.riskiest import Risky, riskiest
from m4i_fast.report.schema import RATES, Interval, Judged, Result, read_result
from m4i_fast.runs import atomic_path
from m4i_fast.types import (
    Estimate,
    Generations,
    Membership,
    MembershipScores,
    OverlapScores,
    Record,
    RocCurve,
)

if TYPE_CHECKING:
    import jinja2

__all__ = ["Evidence", "page", "render_report"]

UNREAD_SHOWN = 100
CAPTION_LENGTH = 400

Table = TypeVar("Table")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the page shows besides the result; each part may be absent."""

    curves: Mapping[str, RocCurve] = field(default_factory=dict)
    scores: Sequence[MembershipScores] = ()
    records: Sequence[Record] = ()
    generations: Generations | None = None
    overlap: OverlapScores | None = None
    membership: Membership | None = None
    images: Path | None = None
    settings: str | None = None
    missing: tuple[str, ...] = ()


def render_report(
    run: Path,
    *,
    membership: Membership | None = None,
    images: Path | None = None,
    title: str | None = None,
    count: int = 12,
) -> Path:
    """Write ``report.html`` and ``scores.csv`` of a run from its result and from whatever else stands in its folder.

    ``scores.csv`` needs records.parquet and scores.parquet, and is left out without them.

    Args:
        run: the run's folder; only result.json must be there.
        membership: the target's labels; without them no histogram, no truth beside the riskiest records and no
            labels in ``scores.csv``.
        images: where relative image paths start; None: the working folder.
        title: what was audited; None: the settings' title, or else the folder's name.
        count: how many of the riskiest records are shown.

    Returns:
        The path of the page.

    Raises:
        DataError: result.json is missing or not a result, or a table is there but cannot be read.
    """
    result = read_result(run / "result.json")
    from m4i_fast import tables

    missing: list[str] = []

    def read(name: str, reader: Callable[[Path], Table], otherwise: Table) -> Table:
        path = run / name
        if path.is_file():
            return reader(path)
        missing.append(name)
        return otherwise

    parts = sorted((run / "generations").glob("part-*.parquet"), key=lambda path: (len(path.name), path.name))
    if not parts:
        missing.append("generations/")
    settings = run / "settings.toml"
    evidence = Evidence(
        curves=read("curves.parquet", read_curves, {}),
        scores=read("scores.parquet", tables.read_scores, []),
        records=read("records.parquet", tables.read_records, []),
        generations=tables.read_generations(parts) if parts else None,
        overlap=tables.read_overlap(run / "overlap.parquet") if (run / "overlap.parquet").is_file() else None,
        membership=membership,
        images=images,
        settings=settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else None,
        missing=tuple(missing),
    )
    text = page(result, evidence, title=title or str(result.settings.get("title") or run.resolve().name), count=count)
    if evidence.scores and evidence.records:
        write_scores_csv(
            run / "scores.csv",
            evidence.records,
            evidence.scores,
            evidence.generations,
            evidence.overlap,
            membership,
        )
    target = run / "report.html"
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return target


def page(result: Result, evidence: Evidence, *, title: str, count: int = 12) -> str:
    """The page as text; equal input gives equal bytes.

    Args:
        result: the result.
        evidence: what is shown besides.
        title: what was audited.
        count: how many of the riskiest records are shown.
    """
    environment = _environment()
    style = _template_text(environment, "report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    primary = max(result.attacks, key=lambda name: result.attacks[name].auc.value, default=None)
    strongest_blind = max(result.blind, key=lambda name: result.blind[name].auc.value, default=None)
    looks = looks_of(list(result.attacks), [f"blind:{name}" for name in result.blind])
    scores = next((each for each in evidence.scores if each.attack == primary), None)
    return environment.get_template("report.html.j2").render(
        style=_safe(style),
        policy=policy,
        title=title,
        result=result,
        words=wording.words_of(result.verdict.kind, sets_differ=_sets_differ(result)),
        sets_differ=_sets_differ(result),
        primary=primary,
        strongest_blind=strongest_blind,
        found=_found(result.attacks[primary]) if primary else None,
        rows=_table(result),
        rates=RATES,
        notes=_notes(result),
        charts=_charts(result, evidence, looks, scores),
        legend=_legend(result, looks),
        riskiest=[_card(each) for each in _riskiest(evidence, scores, count)],
        labelled=evidence.membership is not None,
        unread_shown=UNREAD_SHOWN,
        missing=evidence.missing,
        command=result.provenance.command or "m4i-fast audit settings.toml --out AGAIN",
        settings=_settings(result, evidence.settings),
    )


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("m4i_fast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "auc": wording.number,
        "percent": wording.percent,
        "in_hundred": wording.in_hundred,
        "rate": wording.rate_label,
        "label": wording.label_of,
        "count_label": wording.count_label,
        "short": lambda text, length=CAPTION_LENGTH: shorten(plain(text), length),
        "lines": _lines,
    }
    return environment


def _finalize(value: Any) -> Any:
    # Every text that a template prints passes here before it is escaped; Markup is what we drew ourselves.
    return value if hasattr(value, "__html__") or not isinstance(value, str) else plain(value)


def _lines(text: str) -> Any:
    """Text for a ``<pre>``: cleaned and escaped, its line ends kept."""
    import markupsafe

    return markupsafe.escape(plain(text.replace("\r\n", "\n"), keep_lines=True))


def _safe(markup: str) -> Any:
    import markupsafe

    return markupsafe.Markup(markup)  # noqa: S704 - our own style sheet and our own drawings


def _template_text(environment: jinja2.Environment, name: str) -> str:
    loader = environment.loader
    assert loader is not None
    return loader.get_source(environment, name)[0].replace("\r\n", "\n")


def _sets_differ(result: Result) -> bool:
    from m4i_fast.validity.verdict import BLIND_MARGIN

    return any(judged.auc.low > BLIND_MARGIN for judged in result.blind.values())


def _found(attack: Judged) -> tuple[str, Interval] | None:
    """The rate for the picture of a hundred dots: one false alarm in a hundred, or else one in ten."""
    for rate in ("0.01", "0.1"):
        interval = attack.tpr_at_fpr.get(rate)
        if interval is not None:
            return rate, interval
    return None


def _table(result: Result) -> list[dict[str, Any]]:
    attacks = [(name, judged, False) for name, judged in result.attacks.items()]
    blind = [(name, judged, True) for name, judged in result.blind.items()]
    return [
        {"name": name, "judged": judged, "blind": is_blind, "over": None if is_blind else result.comparisons.get(name)}
        for name, judged, is_blind in attacks + blind
    ]


def _notes(result: Result) -> dict[str, list[str]]:
    """Note to the labels of those it holds for: the same reason is said once."""
    notes: dict[str, list[str]] = {}
    for name, judged in [*result.attacks.items(), *result.blind.items()]:
        for note in judged.notes:
            notes.setdefault(note, []).append(wording.label_of(name))
    every = len(result.attacks) + len(result.blind)
    return {note: names if len(names) < every else ["all methods"] for note, names in notes.items()}


def _charts(
    result: Result, evidence: Evidence, looks: Mapping[str, Look], scores: MembershipScores | None
) -> dict[str, Any]:
    non_members = result.counts.get("non_members")
    rows = [
        Row(wording.label_of(row["name"]), _estimate(row["judged"].auc), looks[_look_name(row)], row["blind"])
        for row in _table(result)
    ]
    curves = {
        look: curve
        for look in looks
        if (curve := evidence.curves.get(look, evidence.curves.get(look.removeprefix("blind:")))) is not None
    }
    labels = {look: wording.label_of(look.removeprefix("blind:")) for look in looks}
    charts: dict[str, Any] = {"forest": _safe(auc_forest(rows)) if rows else None}
    for name, log in (("roc", False), ("roc_log", True)):
        drawn = roc_chart(curves, looks, log=log, non_members=non_members, labels=labels) if curves else None
        charts[name] = drawn and _safe(drawn)
    charts["histogram"] = None
    if scores is not None and evidence.membership is not None:
        members, others = _by_label(scores, evidence.membership)
        if len(members) or len(others):
            drawn = score_histogram(members, others, label=wording.label_of(scores.attack), threshold=scores.threshold)
            charts["histogram"] = _safe(drawn)
    return charts


def _look_name(row: Mapping[str, Any]) -> str:
    return f"blind:{row['name']}" if row["blind"] else row["name"]


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high)


def _by_label(scores: MembershipScores, membership: Membership) -> tuple[Any, Any]:
    labels = dict(zip(membership.ids, membership.is_member.tolist(), strict=True))
    state = np.array([labels.get(id_, -1) for id_ in scores.ids], dtype=np.int8)
    return scores.values[state == 1], scores.values[state == 0]


def _legend(result: Result, looks: Mapping[str, Look]) -> list[dict[str, Any]]:
    return [
        {
            "label": wording.label_of(row["name"]),
            "auc": row["judged"].auc.value,
            "colour": looks[_look_name(row)].ink.css,
            "dash": " ".join(f"{2 * part:g}" for part in looks[_look_name(row)].dash),
        }
        for row in _table(result)
    ]


def _riskiest(evidence: Evidence, scores: MembershipScores | None, count: int) -> list[Risky]:
    if scores is None:
        return []
    return riskiest(
        scores,
        evidence.records,
        generations=evidence.generations,
        membership=evidence.membership,
        overlap=evidence.overlap,
        count=count,
        images=evidence.images,
    )


def _card(risky: Risky) -> dict[str, Any]:
    caption = risky.caption
    letters = [_letters(reference) for reference in risky.record.references]
    return {
        "id": risky.record.id,
        "caption": caption,
        "references": risky.record.references,
        "score": f"{risky.score:.4g}".replace("-", "\u2212"),
        "is_member": risky.is_member,
        "called_at": wording.share(risky.false_alarms, risky.non_members),
        "overlap": risky.overlap,
        "verbatim": bool(caption) and _letters(caption or "") in letters,
        "picture": _safe(risky.picture) if risky.picture else None,
    }


def _letters(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


_SECRET = re.compile(r"(?:^|[_-])(?:key|token|secret|password|authorization)$", re.IGNORECASE)


def _settings(result: Result, text: str | None) -> str | None:
    """The settings as TOML, secrets masked; from the file where it stands, else from the result."""
    import tomli_w

    try:
        values = tomllib.loads(text) if text is not None else result.settings
    except tomllib.TOMLDecodeError:
        return None
    return tomli_w.dumps(_masked(values)) if values else None


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _masked(each, name) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_masked(each, key) for each in value if each is not None]
    return "***" if isinstance(value, str) and _SECRET.search(key) else value
