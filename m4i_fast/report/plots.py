"""The charts of the report, as ``<svg>`` elements: ROC curves, the forest of AUCs, score histograms.

The series colours go back to Okabe and Ito's palette (jfly.uni-koeln.de/color), which people of every colour vision can
tell apart; dashes and shapes say the same once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from m4i_fast.report.plain import plain, shorten
from m4i_fast.report.plots_svg import (
    BLIND,
    MEMBER,
    OTHER,
    PAPER,
    SERIES,
    SOFT,
    TEXT,
    Ink,
    canvas,
    drawing,
    svg_of,
)
from m4i_fast.types import Estimate, RocCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Look", "Row", "auc_forest", "looks_of", "roc_chart", "score_histogram"]

FloatArray = npt.NDArray[np.float64]

_DASHES = ((5.0, 2.2), (1.4, 1.8), (7.0, 2.0, 1.4, 2.0), (3.0, 1.5))
_GUESSING = (1.0, 2.4)


@dataclass(frozen=True, slots=True)
class Look:
    """How a curve is drawn: its colour, its dash pattern in line widths (empty: a whole line), its width in points."""

    ink: Ink
    dash: tuple[float, ...]
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the forest: its label, its AUC, how it is drawn, and whether it is a blind baseline."""

    label: str
    auc: Estimate
    look: Look
    blind: bool


def looks_of(attacks: Sequence[str], blind: Sequence[str]) -> dict[str, Look]:
    """A look for each name: attacks coloured and whole, blind baselines grey and dashed."""
    coloured = {
        name: Look(SERIES[index % len(SERIES)], () if index < len(SERIES) else _DASHES[index % len(_DASHES)], 2.0)
        for index, name in enumerate(attacks)
    }
    grey = {
        name: Look(BLIND[index % len(BLIND)], _DASHES[index % len(_DASHES)], 1.6) for index, name in enumerate(blind)
    }
    return coloured | grey


def roc_chart(
    curves: Mapping[str, RocCurve],
    looks: Mapping[str, Look],
    *,
    log: bool,
    non_members: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """ROC curves with the diagonal of guessing, 5 x 4.3 inches.

    Args:
        curves: by name; names without a look are left out.
        looks: by name; the first is drawn on top.
        log: both axes logarithmic, from the decade of the smallest rate that ``non_members`` can show.
        non_members: how many stand behind the false-positive rates; None: 1,000.
        labels: readers' names, for the description; None: the names.

    Returns:
        An ``<svg>`` element.
    """
    name = "roc-log" if log else "roc-linear"
    floor = float(10.0 ** np.floor(np.log10(1.0 / max(non_members or 1000, 10)) + 1e-9))
    shown = [each for each in looks if each in curves]
    spoken = [plain((labels or {}).get(each, each)) for each in shown]
    with drawing(name):
        figure, axes = canvas(5.0, 4.3, box=(0.78, 0.62, 0.14, 0.12))
        ends = np.array([floor if log else 0.0, 1.0])
        axes.plot(ends, ends, color=SOFT.mark, linewidth=1.0, dashes=_GUESSING, zorder=2)
        for each in reversed(shown):
            fpr, tpr = _densified(curves[each], floor) if log else (curves[each].fpr, curves[each].tpr)
            (line,) = axes.plot(fpr, tpr, color=looks[each].ink.mark, linewidth=looks[each].width, zorder=3)
            if looks[each].dash:
                line.set_dashes(looks[each].dash)
        if log:
            axes.set_xscale("log")
            axes.set_yscale("log")
            decades = 10.0 ** np.arange(round(np.log10(floor)), 1)
            ticks, low, high = decades, floor, 1.0
        else:
            ticks, low, high = np.linspace(0.0, 1.0, 5), 0.0, 1.0
        named = [f"{100 * tick:g} %" for tick in ticks]
        axes.set_xticks(ticks, named)
        axes.set_yticks(ticks, named)
        axes.minorticks_off()
        axes.set_xlim(low, high * 1.15 if log else 1.02)
        axes.set_ylim(low, high * 1.15 if log else 1.02)
        # Beside the diagonal, at three quarters of it, turned as the box turns it.
        at = floor**0.25 if log else 0.75
        axes.annotate(
            "guessing",
            (at, at),
            xytext=(5, -9),
            textcoords="offset points",
            rotation=40.5,
            rotation_mode="anchor",
            ha="center",
            va="center",
            fontsize=9,
            color=SOFT.mark,
            bbox={"boxstyle": "square,pad=0.12", "facecolor": PAPER.mark, "edgecolor": "none", "alpha": 0.8},
            zorder=5,
        )
        axes.set_xlabel("non-members wrongly called members")
        axes.set_ylabel("members rightly found")
        return svg_of(
            figure,
            name=name,
            title=f"ROC curves on {'logarithmic' if log else 'linear'} axes",
            description="Share of members found against share of non-members wrongly called members, for "
            f"{', '.join(spoken) or 'no attack'}. The diagonal is guessing.",
        )


def auc_forest(rows: Sequence[Row]) -> str:
    """AUC of each row with its 95 % interval, attacks before blind baselines; a line at 0.5 marks guessing.

    Returns:
        An ``<svg>`` element, 10 inches wide.
    """
    groups = [
        ("Attacks, which ask the model", [row for row in rows if not row.blind]),
        ("Blind baselines, which never ask it", [row for row in rows if row.blind]),
    ]
    lines = len(rows) + 1.35 * sum(bool(group) for _, group in groups)
    low = min([0.45, *(row.auc.low - 0.03 for row in rows)])
    high = max([1.0, *(row.auc.high for row in rows)])
    with drawing("forest"):
        figure, axes = canvas(10.0, 0.75 + 0.33 * lines, box=(2.95, 0.62, 1.95, 0.05))
        axes.grid(visible=False, axis="y")
        axes.axvline(0.5, color=SOFT.mark, linewidth=1.0, dashes=_GUESSING, zorder=2)
        at = 0.0
        for heading, group in groups:
            if not group:
                continue
            _beside(axes, -2.95, at, heading, ink=SOFT)
            for row in group:
                at += 1.0
                _draw_row(axes, at, row)
            at += 1.35
        axes.set_ylim(at - 0.75, -0.6)
        axes.set_xlim(max(low, -0.02), high + 0.01)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUC: 0.5 is guessing, 1 is certainty")
        return svg_of(
            figure,
            name="forest",
            title="AUC of attacks and blind baselines with 95 % intervals",
            description="; ".join(f"{plain(row.label)}: {_figures(row.auc)}" for row in rows),
        )


def score_histogram(
    members: FloatArray, non_members: FloatArray, *, label: str, threshold: float | None, bins: int = 44
) -> str:
    """Shares of members and of non-members by score; only finite scores count.

    Args:
        members: float64 [M].
        non_members: float64 [N].
        label: what the score is, for the axis.
        threshold: the shadow's threshold, drawn as a line; None: no line.
        bins: how many bars; the outermost hold the 0.2 % that lie beyond them as well.

    Returns:
        An ``<svg>`` element, 10 inches wide.
    """
    members, non_members = members[np.isfinite(members)], non_members[np.isfinite(non_members)]
    both = np.concatenate([members, non_members])
    low, high = (float(end) for end in np.quantile(both, [0.002, 0.998])) if both.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, bins + 1)
    with drawing("histogram"):
        figure, axes = canvas(10.0, 3.3, box=(0.85, 0.62, 0.12, 0.1))
        axes.grid(visible=False, axis="x")
        top = 1e-9
        for values, ink, dash in ((non_members, OTHER, (4, 1.6)), (members, MEMBER, None)):
            share = 100.0 * np.histogram(np.clip(values, low, high), edges)[0] / max(len(values), 1)
            top = max(top, float(share.max(initial=0.0)))
            axes.stairs(share, edges, fill=True, color=ink.mark, alpha=0.25, linewidth=0, zorder=2)
            style = "solid" if dash is None else (0, dash)
            axes.stairs(share, edges, color=ink.mark, linewidth=1.7, linestyle=style, zorder=3)
        top *= 1.18
        if threshold is not None and low <= threshold <= high:
            left = threshold > low + 0.7 * (high - low)
            axes.axvline(threshold, color=TEXT.mark, linewidth=1.1, zorder=4)
            axes.annotate(
                "threshold learned on the shadow",
                (threshold, 0.95 * top),
                xytext=(-6 if left else 6, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9.5,
            )
        axes.set_ylim(0.0, top)
        axes.set_xlim(low, high)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.set_xlabel(f"score of {shorten(plain(label), 60)}; further right is more member-like")
        axes.set_ylabel("share of the group")
        return svg_of(
            figure,
            name="histogram",
            title="Scores of members and non-members",
            description=f"Two histograms. {len(members)} members, median score {_median(members)}; "
            f"{len(non_members)} non-members, median score {_median(non_members)}.",
        )


def _draw_row(axes: Axes, at: float, row: Row) -> None:
    mark = row.look.ink.mark
    axes.plot([row.auc.low, row.auc.high], [at, at], color=mark, linewidth=2.4, solid_capstyle="butt", zorder=3)
    axes.plot(
        [row.auc.value],
        [at],
        marker="s" if row.blind else "o",
        markersize=6.5 if row.blind else 7.5,
        markerfacecolor=PAPER.mark if row.blind else mark,
        markeredgecolor=mark,
        markeredgewidth=1.8,
        zorder=4,
    )
    _beside(axes, -2.83, at, shorten(plain(row.label), 40))
    _beside(axes, 0.22, at, _figures(row.auc), right=True)


def _beside(axes: Axes, inches: float, at: float, text: str, *, ink: Ink = TEXT, right: bool = False) -> None:
    """Text beside the axes, ``inches`` from its left or right edge, at the height of the value ``at``."""
    axes.annotate(
        text,
        (1.0 if right else 0.0, at),
        xycoords=("axes fraction", "data"),
        xytext=(72.0 * inches, 0.0),
        textcoords="offset points",
        va="center",
        color=ink.mark,
        annotation_clip=False,
    )


def _figures(auc: Estimate) -> str:
    return f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"


def _median(values: FloatArray) -> str:
    return f"{np.median(values):.3g}" if len(values) else "unknown"


def _densified(curve: RocCurve, floor: float) -> tuple[FloatArray, FloatArray]:
    """The curve with points between its points: a straight stretch of an ROC is bent on logarithmic axes.

    False-positive rates below ``floor`` are beyond the left edge; true-positive rates below it lie on the lower one.
    """
    grid = np.setdiff1d(np.geomspace(floor, 1.0, 240), curve.fpr)
    grid = grid[(grid > curve.fpr.min(initial=1.0)) & (grid < curve.fpr.max(initial=0.0))]
    fpr = np.concatenate([curve.fpr, grid])
    tpr = np.concatenate([curve.tpr, np.interp(grid, curve.fpr, curve.tpr)])
    order = np.lexsort((tpr, fpr))
    order = order[fpr[order] >= floor]
    return fpr[order], np.maximum(tpr[order], floor)
