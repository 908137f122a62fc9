"""From a matplotlib figure to an ``<svg>`` element that stands in a page under a strict content security policy.

matplotlib draws with stand-in colours; they leave as CSS variables, so that one drawing serves the light page, the dark
page and the printer. Style attributes leave as presentation attributes, since the policy forbids the former. Text
stays text, in the page's own font.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLIND", "GRID", "MEMBER", "OTHER", "PAPER", "SERIES", "SOFT", "TEXT", "Ink", "canvas", "drawing", "svg_of"]


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour: the stand-in that matplotlib draws with, and the CSS that it becomes."""

    mark: str
    css: str


TEXT = Ink("#010101", "var(--ink, #1b2230)")
SOFT = Ink("#010202", "var(--soft, #566072)")
GRID = Ink("#010303", "var(--line, #dfe3ea)")
PAPER = Ink("#010404", "var(--paper, #ffffff)")
MEMBER = Ink("#010505", "var(--member, #0072b2)")
OTHER = Ink("#010606", "var(--other, #c25100)")
SERIES = (
    Ink("#020101", "var(--c1, #0072b2)"),
    Ink("#020202", "var(--c2, #c25100)"),
    Ink("#020303", "var(--c3, #007a59)"),
    Ink("#020404", "var(--c4, #a8457f)"),
    Ink("#020505", "var(--c5, #8a6d00)"),
    Ink("#020606", "var(--c6, #5a52c0)"),
)
BLIND = (Ink("#030101", "var(--b1, #5b6577)"), Ink("#030202", "var(--b2, #7c8696)"))

_CSS = {ink.mark: ink.css for ink in (TEXT, SOFT, GRID, PAPER, MEMBER, OTHER, *SERIES, *BLIND)}
_FONT = re.compile(r"(?:(?P<style>italic|oblique) )?(?:(?P<weight>bold|\d{3}) )?(?P<size>[\d.]+)px .*")


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Matplotlib's own defaults plus ours, whatever the user's matplotlibrc says; ``name`` salts the ids."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "svg.hashsalt": f"m4i-fast-{name}",
                "svg.fonttype": "none",
                "text.parse_math": False,  # a dollar sign in a name is a dollar sign
                "font.size": 10,
                "axes.labelsize": 10,
                "axes.labelcolor": SOFT.mark,
                "axes.labelpad": 7,
                "axes.edgecolor": GRID.mark,
                "axes.linewidth": 1.0,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": GRID.mark,
                "grid.linewidth": 0.7,
                "text.color": TEXT.mark,
                "xtick.color": GRID.mark,
                "ytick.color": GRID.mark,
                "xtick.labelcolor": SOFT.mark,
                "ytick.labelcolor": SOFT.mark,
                "xtick.labelsize": 9.5,
                "ytick.labelsize": 9.5,
                "xtick.major.pad": 6,
                "ytick.major.pad": 6,
                "xtick.major.size": 0,
                "ytick.major.size": 0,
                "xtick.minor.size": 0,
                "ytick.minor.size": 0,
                "path.simplify": True,
            }
        )
        yield


def canvas(width: float, height: float, *, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A figure with one axes; ``box`` is the axes' left, bottom, right and top margin; all in inches."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasSVG(figure)
    left, bottom, right, top = box
    axes = figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height), facecolor="none"
    )
    return figure, axes


def svg_of(figure: Figure, *, name: str, title: str, description: str) -> str:
    """The drawing as an ``<svg>`` element without outside references, ids, inline styles or dates.

    Args:
        figure: what was drawn inside ``drawing(name)``.
        name: goes before the few ids that stay, so that several drawings can share a page.
        title: a short name for readers of the page that do not see it.
        description: what it shows, in words.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    head, body = text.split(">", maxsplit=1)
    found = re.search(r'viewBox="([^"]*)"', head)
    box = found[1] if found else ""
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = frozenset(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    # Text has its angle brackets escaped, so these are the tags and nothing but the tags.
    body = re.sub(r"<[^<>]*>", lambda tag: _tag(tag[0], name, used), body)
    body = re.sub(r"\n\s*", "\n", body)
    labels = f"{name}-title {name}-desc"
    return (
        f'<svg class="chart" role="img" viewBox="{box}" stroke-linejoin="round" aria-labelledby="{labels}">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>{body.strip()}'
    )


def _tag(tag: str, name: str, used: frozenset[str]) -> str:
    tag = re.sub(r' style="([^"]*)"', lambda style: _attributes(style[1]), tag)
    tag = re.sub(r' id="([^"]*)"', lambda id_: f' id="{name}-{id_[1]}"' if id_[1] in used else "", tag)
    tag = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', tag).replace("url(#", f"url(#{name}-")
    return re.sub(r'(?<=")#0[1-3]0\d0\d(?=")', lambda mark: _CSS.get(mark[0], mark[0]), tag)


def _attributes(style: str) -> str:
    """A CSS text as presentation attributes; ``font`` is torn into its parts, the family is the page's."""
    found: dict[str, str] = {}
    for part in style.split(";"):
        key, _, value = (each.strip() for each in part.partition(":"))
        font = _FONT.fullmatch(value) if key == "font" else None
        if font:
            parts = {"font-style": font["style"], "font-weight": font["weight"], "font-size": font["size"]}
            found |= {key: value for key, value in parts.items() if value}
        elif key == "font-size":
            found[key] = value.removesuffix("px")
        elif re.fullmatch(r"[a-z-]+", key) and key not in {"font", "font-family"}:
            found[key] = value
    return "".join(f' {key}="{value}"' for key, value in found.items())
