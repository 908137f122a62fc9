"""Makes hard texts for the PTB tokeniser from a seed: pieces of what its rules speak of, put together at random."""

from __future__ import annotations

import random

from m4i_fast.kernels.ptb import words

_PIECES = """
    a A b I s S t x X ' " . , : ; ! ? - -- --- ---- _ __ / \\ | ~ ^ ` # ## @ @@ $ % & * ** + = == ( ) [ ] { } < > <<
    >> <> 1 12 123 1234 12345 0 90 5.5 .5 1,000 1:30 -5 +5 1/2 3/4 10/12/99 1-2-2003 5-1/2 \xbc \xbd \u2154 555-1234
    (555) 555.555.5555 +1 ++44 01-02-2003 2\xad3 1\\/2 7\u20448 \xb2\xb3 \u207a\xb2 \u2080\u2081 \u0661\u0662 don't
    can't cannot CANNOT gonna gotta lemme gimme wanna 'tis 'twas I'm we're they'll you've o'clock O'Neil y'all 'em
    'n' 'cause 'till '90s '99 cont'd c'mon nor'easter li'l ev'ry d'Avignon l'amour aujourd'hui n't N'T 's 'S 'll
    rock&roll AT&T AT&amp;T R&D A+B S&P-500 S&Ls Cap'n c'est pro- anti- -LRB- -rcb- c++ C# F# a-b co-ed e-mail
    well-known a/b a\\/b and/or a-b/c-d x.y x.y.z a!b a?b a.b, e.g. i.e. U.S. U.S.A. U.K. J. A. a.m. p.m. non-U.S.
    U.S.-U.K. etc. http://a.b https://x.org/y_(z) HTTP://X www.x.com www.x.y.co example.com a.com/b a_b.net +.org
    me@x.y <me@x.y> a@b @user #tag #\xe9t\xe9 #1 file.txt a.b.pdf x.tar.gz .c 3.html :) :-( ;D =P :'( >:) (^_^) ^_^
    x_x -_- (o.o) (>_<) <.[^x= <b> </b> <br/> <!-- --> <?xml?> <a href='x'> b="c"> b='c d='> &lt; &gt; &quot; &apos;
    &nbsp; &amp; &AMP; &mdash; &MD; &HT; &#123; &eacute; &Auml;b &eacute &bad; ... .. .... ..... ...... \u2026
    \u2013 \u2014 \u2015 \x96 \x97 \x91 \x92 \x93 \x94 \u2018 \u2019 \u201a \u201b \u201c \u201d \u201e \u2039
    \u203a \xab \xbb \u2019s \u2019ll n\u2019t \u2018em \u201cab `` '' ``a `a 'a 'ab "a "' '" \xa1 \xbf \u3001
    \u3002 \u30fb \xa2 \xa3 \xa4 \xa5 \u20ac \u20a0 \x80 US$ HK$5 $5 A$ \xa7 \xa9 \xb0 \xd7 \u2190 \u2212 \u2460
    \u2713 \uff01 \u4f60\u597d \u3053\u3093 \u30ab\u30bf \ud55c\uae00 \u0e44\u0e17\u0e22 \u05e9\u05dc\u05d5\u05dd
    \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d na\xefve e\u0301 \u0301 \xdf \u0130 \u0131 \u017f \u212a
    \u01c5 \u03a3 \u0391\u03a3 \u0391\u03a3.\u0391 \u03a3\u03a3 \ufb01 \uff21\uff22 \U0001f600
    \U0001f468\u200d\U0001f469 \U00010400 \U0001d400 \u200b \u200d \u200e \ufeff \xad a\xadb \xad\xad \x00 \x01 \x7f
    An The He Mr. Now You about Ltd ltd limited Co. co. pty. Pty. Miss miss Miss. \xc9t\xe9
"""
_SPACED = (
    "\u001c",
    "\u0085",
    "The\t",
    "He\u00a0",
    "<a href='x'>",
    '<a b="c">',
    "<a b='c",
    "d'>",
    "<br />",
    "etc. ",
    "U.S. The ",
    "5 1/2",
    "555 1234",
)
PIECES = (*_PIECES.split(), *_SPACED)
_ENDS = ("\r", "\r\n", "\v", "\f", "\u2028", "\u2029")
GAPS = (*[" "] * 12, *[""] * 4, "  ", "\t", "\u00a0", "\u2003", "\u3000", "\x1f", *_ENDS)
_PLAIN = "a dog runs on the green grass while two men in red shirts watch a woman near water"


def listed_words() -> tuple[str, ...]:
    lists = (words.ABBREVIATIONS, words.BEFORE_NAMES, words.BEFORE_NUMBERS, words.OPENERS, words.FILE_KINDS)
    return tuple(word for each in lists for word in each.replace("\\", "").split())


def hard_text(rng: random.Random, pieces: int) -> str:
    """About so many pieces."""
    listed = listed_words()
    found = []
    for _ in range(pieces):
        dice = rng.random()
        if dice < 0.55:
            piece = rng.choice(PIECES)
        elif dice < 0.75:
            piece = rng.choice(listed) + rng.choice((".", "", ". ", ".5", ". 5", ". A", ". a", ". The ", ".,"))
        elif dice < 0.9:
            piece = rng.choice(_PLAIN.split())
        elif dice < 0.97:
            piece = chr(rng.randrange(0x250))
        else:
            piece = chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x11000))))
        if rng.random() < 0.15:
            piece = rng.choice((str.upper, str.lower, str.title))(piece)
        found += (piece, rng.choice(GAPS))
    return "".join(found)


def hard_captions(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [hard_text(rng, rng.randrange(12)) for _ in range(count)]
