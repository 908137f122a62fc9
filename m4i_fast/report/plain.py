"""Text of models and users made harmless: for a page, a table or a terminal, it is text and nothing else."""

from __future__ import annotations

import re

__all__ = ["plain", "shorten"]

# ESC [ ... final byte (colours, cursor), ESC ] ... BEL or ESC \ (titles, links), other two-byte escapes; the same with
# the one-byte C1 forms. ECMA-48, sections 5.3 to 5.6.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]P^_X]|[\x9d\x90\x9e\x9f\x98])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Marks that turn the reading order or that nobody sees; the joiners U+200C and U+200D stay, since scripts and emoji
# need them.
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[\t\r\n\u2028\u2029]+")


def plain(text: str, *, keep_lines: bool = False) -> str:
    """``text`` without terminal escapes and control characters; unseen and reordering marks shown as ``⟨U+202E⟩``.

    Args:
        text: anything, lone surrogates included (they become U+FFFD).
        keep_lines: keep tab, carriage return and line feed; else each run of them becomes one space.
    """
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    text = _UNSEEN.sub(lambda mark: f"⟨U+{ord(mark[0]):04X}⟩", text)
    text = _SURROGATES.sub("\ufffd", text)
    return text if keep_lines else _SPACES.sub(" ", text)


def shorten(text: str, length: int) -> str:
    """At most ``length`` characters of ``text``, with the full length said where it was cut."""
    return text if len(text) <= length else f"{text[:length].rstrip()} … [{len(text):,} characters]"
