"""What is one token of the PTB tokeniser, and what it is made into.

Written from the behaviour of the Java original (CoreNLP 3.4.1), not from its text: the notation, the parts, the
grouping and the order are this file's own. At each place the rule with the longest match wins, what it wants ``ahead``
counted in; of equally long ones the first. A rule with ``ahead`` then takes the longest part of its match after which
the rest fits ``ahead``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from m4i_fast.kernels.ptb import words
from m4i_fast.kernels.ptb.notation import Node, any_of, parse, units

__all__ = ["RULES", "Made", "Rule", "parts"]


class Made(IntEnum):
    """What a match is made into. The C++ core knows the numbers."""

    NOTHING = 0
    LINE = 1  # the end of a line
    SAME = 2
    PLAIN = 3  # soft hyphens go
    QUOTE = 4
    OPENING = 5  # a quote, taken for an opening one
    AMPERSAND = 6  # &amp; becomes &
    HYPHENS = 7  # three or four become --
    FRACTION = 8  # a sign such as one half, spelled out
    MONEY = 9
    SOLID = 10  # blanks become no-break spaces
    FACE = 11  # round brackets become -LRB-, -RRB-
    PHONE = 12  # as SOLID and FACE
    FIXED = 13  # one text, whatever the match: ``text``


@dataclass(frozen=True, slots=True)
class Rule:
    """``match`` becomes a token where ``ahead`` follows.

    ``again``: the full stop at the end is read once more; ``alone``: it does not stay in a token of one letter.
    """

    made: Made
    match: str
    ahead: str = ""
    text: str = ""
    again: bool = False
    alone: bool = False


_PARTS: Final = {
    # Characters.
    "letter": units(words.LETTERS),
    "digit": units(words.DIGITS),
    "capital": units(words.CAPITALS),
    "latin": "[A-Za-z]",
    "sign": "[A-Za-z0-9]",
    "pause": r"[,;:\u3001]",
    "blank": r"[\_\t\u00A0\u2000-\u200A\u3000]",
    "line": r"\r | \r?\n | [\v\f\u0085\u2028\u2029]",
    "space": "<blank> | <line>",
    "gap": r"[\-\_\u00A0]",
    # Apostrophes: plain, typographic, as an entity; within words some that look wrong, too.
    "apostrophe": r"['\u0092\u2019] | &apos;",
    "any_apostrophe": r"<apostrophe> | [`\u0091\u2018\u201B]",
    # Words.
    "piece": rf"<letter> | {units(words.MARKS)} | &[AEIOUaeiou](acute|grave|uml);",
    "run": "<piece>(<piece>|<digit>)*",
    "word": "<run>([.!?]<run>)*",
    "contracted": "<apostrophe>([DMSdms]|ll|re|ve)",
    "not": "n<any_apostrophe>t",
    "plain": "<letter>|<digit>",
    "stem": "([DLOdlo]<any_apostrophe>(<plain>))?(<plain>)+",
    "joined": r"<stem>([\-_\u058A\u2010\u2011]<stem>)*",
    "firm": "[A-Z]+(([+&]|&amp;)[A-Z]+)+",
    "either": r"<sign>+(\-<latin>+){0,2}",
    # Abbreviations.
    "us": r"(canada|eu|japan|korean|non|sino)\-u\.s | u\.s\.\-u\.(k|s\.s\.r)",
    "initials": r"<latin>(\.<latin>)+ | <us>",
    "hyphenated": r"<sign>[A-Za-z0-9.,\u00AD]*(\-([A-Za-z0-9\u00AD]+|<initials>\.))+",
    "letters": r"<latin>(\.<latin>)* | <us>",
    "shortened": rf"{any_of(words.ABBREVIATIONS)}\.",
    "titled": f"{any_of(words.BEFORE_NAMES)} | <letters>",
    # The web.
    "name": r"<latin>[A-Za-z0-9_:.\-]*",
    "attribute": r"<name>(\_*=\_*('[^']*' | \"[^\"]*\"))?",
    "tag": r"\<([!?][A-Za-z\-][^>\r\n]* | <name>(\_+<attribute>)*\_*/? | /<name>)\_*\>",
    "path": r"[^\_\t\n\f\r\"<>|()]",
    "last": r"[^\_\t\n\f\r\"<>|.!?(){},\-]",
    "mailed": r"[^\_\t\n\f\r\"<>|(){}\u00A0]",
    "domain": r"[^\_\t\n\f\r\"<>|(){}\u00A0.]+",
}
"""Those that speak of others come after them."""


@cache
def parts() -> dict[str, Node]:
    """The named parts, read."""
    found: dict[str, Node] = {}
    for name, pattern in _PARTS.items():
        found[name] = parse(pattern, found)
    return found


_WEB: Final = (
    Rule(Made.SOLID, "<tag>"),
    Rule(Made.SAME, r"https?://[^\_\t\n\f\r\"<>|(){}]+<last>"),
    Rule(
        Made.SAME,
        r"(www\.([^\_\t\n\f\r\"<>|.!?(){},]+\.)+<latin>{2,4}"
        r" | ([^\_\t\n\f\r\"<>|.!?(){}`',-_$]+\.)+(com|edu|net|org))(/<path>+<last>)?",
    ),
    Rule(Made.SAME, r"(\< | &lt;)?<sign><mailed>*@(<domain>\.)*<domain>(\> | &gt;)?"),
    Rule(Made.SAME, "@[A-Za-z_][A-Za-z_0-9]* | #<piece>+"),
    Rule(Made.SAME, r"&(cdq|ht|lr|odq|qc|ql|qr|tl|ur|#[0-9]+);"),
)

_WORDS: Final = (
    Rule(Made.SAME, "can", "not"),
    Rule(Made.SAME, "gon|wan", "na"),
    Rule(Made.SAME, "got", "ta"),
    Rule(Made.SAME, "gim|lem", "me"),
    Rule(Made.SAME, "'t", "is|was"),
    Rule(Made.PLAIN, "<word>", "<contracted>"),
    Rule(Made.PLAIN, r"[A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*", "<not>"),
    Rule(Made.PLAIN, "<word>"),
    Rule(Made.PLAIN, r"<word>\.", "<pause>"),
    # With an apostrophe that stays where it is.
    Rule(
        Made.SAME,
        r"<apostrophe>(n<apostrophe>? | em | cause | till? | [2-9]0s)"
        r" | ([DJLdjl] | dunkin | ol | somethin)<apostrophe>"
        r" | cont'd\.? | c'mon | e'er | ev'ry | li'l | nat'l | nor'easter | o<any_apostrophe>o | s'mores"
        r" | [A-HJ-XZn]<any_apostrophe><letter>{2}<letter>*"
        r" | <letter>+[AEIOUYaeiouy]<any_apostrophe>[A-Zaeiou]<letter>*",
    ),
    Rule(Made.SAME, "y<apostrophe>", "<letter>"),
    Rule(Made.SAME, "<apostrophe>[0-9]{2}", "<space>"),
    Rule(Made.QUOTE, "<contracted>|<not>", "[^A-Za-z]"),
    Rule(Made.QUOTE, "<not>"),
    Rule(
        Made.AMPERSAND,
        r"(anti|pro)\- | c<apostrophe>est | cap<apostrophe>n | c\.d\.s | s(&|&amp;)(ls|p\-500)",
    ),
    Rule(Made.SAME, r"c\+\+ | [CFcf]#"),
)

_NUMBERS: Final = (
    Rule(Made.SAME, r"<digit>{1,2}[\-/]<digit>{1,2}[\-/]<digit>{2,4}"),
    Rule(Made.PLAIN, r"[\-+]?(<digit>+ | <digit>*([.:,\u00AD\u066B\u066C]<digit>+)+)"),
    Rule(Made.SAME, r"[\u207A\u207B\u208A\u208B]?([\u2070\u00B2\u00B3\u00B9\u2074-\u2079]+|[\u2080-\u2089]+)"),
    Rule(Made.SOLID, r"(<digit>{1,4}<gap>)?<digit>{1,4}(\\?/|\u2044)<digit>{1,4}"),
    Rule(Made.FRACTION, r"[\u00BC-\u00BE\u2153-\u215E]"),
    Rule(Made.SAME, "[A-Z]*$"),
    Rule(Made.MONEY, r"[\u0080\u00A2-\u00A5\u060B\u0E3F\u20A0\u20A4\u20AC\uFFE0\uFFE1\uFFE5\uFFE6]"),
)

_ABBREVIATIONS: Final = (
    Rule(Made.SAME, r"(<letters>)\.", f"<space>+({any_of(words.OPENERS)}|<tag>)<space>", again=True, alone=True),
    Rule(Made.SAME, rf"{any_of(words.BEFORE_NUMBERS)}\.", "<space>?<digit>"),
    Rule(Made.SAME, r"(co|pt[EYey])\.", "<blank>(lim|ltd)"),
    Rule(Made.SAME, "<shortened>", "<space>(<space>|<capital>|<tag>)", again=True),
    Rule(Made.SAME, "<shortened>", r"[\u0000-\uFFFF]{2}"),
    Rule(Made.SAME, "<shortened>", again=True),  # at the end of the text
    Rule(Made.SAME, r"(<titled>)\."),
    Rule(Made.SAME, "<titled>", "<blank>"),
    Rule(Made.SAME, "<letters>", "<space>"),
    Rule(Made.SAME, rf"(<piece>|<digit>)+(\.(<piece>|<digit>)+)*\.{any_of(words.FILE_KINDS)}", "<space>|[.?!,]"),
)

_JOINED: Final = (
    Rule(Made.SAME, r"<either>(\\?/<either>){1,2}"),
    Rule(
        Made.PHONE,
        r"(\([0-9]{2,3}\)[\_\u00A0]? | (\+{1,2})?([0-9]{2,4}<gap>)?[0-9]{2,4}<gap>)[0-9]{3,4}<gap>?[0-9]{3,5}"
        r" | ((\+{1,2})?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}",
    ),
    Rule(Made.PLAIN, r"(<hyphenated>)\.", "<pause>"),
    Rule(Made.PLAIN, "<hyphenated>"),
    Rule(Made.SAME, r"<joined>\.", "<pause>"),
    Rule(Made.SAME, "<joined>"),
    Rule(Made.AMPERSAND, r"<firm>\.", "<pause>"),
    Rule(Made.AMPERSAND, "<firm>"),
)

_SIGNS: Final = (
    Rule(Made.OPENING, r"\" | &quot;", "[A-Za-z0-9$]"),
    Rule(Made.QUOTE, r"\" | &quot;"),
    Rule(Made.OPENING, "'", r"<latin>[^\_\t\n\r\u00A0]"),
    Rule(Made.QUOTE, "<contracted>"),
    Rule(Made.QUOTE, r"<apostrophe> | '' | [`\u0091-\u0094\u2018-\u201F\u2039\u203A\u00AB\u00BB]{1,2}"),
    Rule(Made.FACE, r"[<>]?[:;=][\-o\*']?[\(\)DPdpO\\{@\|\[\]]", "[^A-Za-z0-9]"),
    Rule(
        Made.FACE,
        r"[\-\^x=~<>']_[\-\^x=~<>'] | \([\-\^x=~<>'][_.]?[\-\^x=~<>']\) | \([\^x=~<>']\-[\^x=~<>'`]\)"
        r" | [\^x=~<>]\.\[^x=[^<]*\<\>\]",  # a slip of the original, which ends where a < does
    ),
    Rule(Made.FIXED, "&(md|mdash|ndash);", text="--"),
    Rule(Made.FIXED, r"[\u0096\u0097\u2013-\u2015]", text="--"),
    Rule(Made.FIXED, r"\.{3,5} | (\.[\_\u00A0]){2,4}\. | [\u0085\u2026]", text="..."),
    Rule(Made.FIXED, r"\< | &lt;", text="<"),
    Rule(Made.FIXED, r"\> | &gt;", text=">"),
    Rule(Made.FIXED, r"\(", text="-lrb-"),
    Rule(Made.FIXED, r"\)", text="-rrb-"),
    Rule(Made.FIXED, r"\[", text="-lsb-"),
    Rule(Made.FIXED, r"\]", text="-rsb-"),
    Rule(Made.FIXED, r"\{", text="-lcb-"),
    Rule(Made.FIXED, r"\}", text="-rcb-"),
    Rule(Made.SAME, r"\-(l|r)(c|r|s)b\-"),
    Rule(Made.HYPHENS, r"\-+"),
    Rule(Made.SAME, r"\*+ | (\\\*){1,3}"),
    Rule(Made.SAME, "/"),
    Rule(Made.AMPERSAND, "&amp;"),
    Rule(Made.SAME, r"<pause> | [?!]+ | @+ | #+ | _+ | = | \<\< | \>\>"),
    Rule(Made.SAME, r"[.\u00A1\u00BF\u037E\u0589\u061F\u06D4\u0700-\u0702\u07FA\u3002]"),
    Rule(Made.SAME, units(words.SYMBOLS)),
)

_GAPS: Final = (
    Rule(Made.NOTHING, r"<blank>+ | [\u0000\u007F\u200B\u200E\u200F\uFEFF] | &nbsp;"),
    Rule(Made.LINE, "<line>"),
    Rule(Made.NOTHING, r"[^\n]"),  # what is nothing else
)

RULES: Final = (*_WORDS, *_WEB, *_NUMBERS, *_ABBREVIATIONS, *_JOINED, *_SIGNS, *_GAPS)
"""The first of equals wins."""
