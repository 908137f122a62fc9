"""Makes hard texts for the PTB tokeniser from a seed: pieces of what its rules speak of, put together at random."""

from __future__ import annotations

import random

from m4i_fast.kernels.ptb import words

PIECES = (
    *"a A b I s S t x X ' \" . , : ; ! ? - -- --- ---- _ __ / \\ | ~ ^ ` # ## @ @@ $ % & * ** + = == ( ) [ ] { }".split(),
    *"< > << >> <> 1 12 123 1234 12345 0 90 5.5 .5 1,000 1:30 -5 +5 1/2 3/4 10/12/99 1-2-2003 5-1/2 \u00bc \u00bd \u2154".split(),
    *"555-1234 (555) 555.555.5555 +1 ++44 01-02-2003 2\u00ad3 1\\/2 7\u20448 \u00b2\u00b3 \u207a\u00b2 \u2080\u2081 \u0661\u0662".split(),
    *"don't can't cannot CANNOT gonna gotta lemme gimme wanna 'tis 'twas I'm we're they'll you've o'clock O'Neil y'all".split(),
    *"'em 'n' 'cause 'till '90s '99 cont'd c'mon nor'easter li'l ev'ry d'Avignon l'amour aujourd'hui n't N'T 's 'S 'll".split(),
    *"rock&roll AT&T AT&amp;T R&D A+B S&P-500 S&Ls Cap'n c'est pro- anti- -LRB- -rcb- c++ C# F# a-b co-ed e-mail well-known".split(),
    *"a/b a\\/b and/or a-b/c-d x.y x.y.z a!b a?b a.b, e.g. i.e. U.S. U.S.A. U.K. J. A. a.m. p.m. non-U.S. U.S.-U.K. etc.".split(),
    *"http://a.b https://x.org/y_(z) HTTP://X www.x.com www.x.y.co example.com a.com/b a_b.net +.org me@x.y <me@x.y> a@b".split(),
    *"@user #tag #\u00e9t\u00e9 @ #1 file.txt a.b.pdf x.tar.gz .c 3.html :) :-( ;D =P :'( >:) (^_^) ^_^ x_x -_- (o.o) (>_<) <.[^x=".split(),
    *"<b> </b> <br/> <!-- --> <?xml?> <a href='x'> <a b=\"c\"> <a b='c"  " d='> &lt; &gt; &quot; &apos; &nbsp; &amp; &AMP;".split(" "),
    *"&mdash; &MD; &HT; &#123; &eacute; &Auml;b &eacute &bad; ... .. .... ..... ...... . . \u2026 \u0085 \u2013 \u2014 \u2015".split(),
    *"\u0096 \u0097 \u0091 \u0092 \u0093 \u0094 \u2018 \u2019 \u201a \u201b \u201c \u201d \u201e \u2039 \u203a \u00ab \u00bb".split(),
    *"\u2019s \u2019ll n\u2019t \u2018em \u201cab `` '' ``a `a 'a 'ab \"a \"' '\" \u00a1 \u00bf \u3001 \u3002 \u30fb".split(),
    *"\u00a2 \u00a3 \u00a4 \u00a5 \u20ac \u20a0 \u0080 US$ HK$5 $5 A$ \u00a7 \u00a9 \u00b0 \u00d7 \u2190 \u2212 \u2460 \u2713 \uff01".split(),
    *"\u4f60\u597d \u3053\u3093 \u30ab\u30bf \ud55c\uae00 \u0e44\u0e17\u0e22 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d".split(),
    *"na\u00efve e\u0301 \u0301 \u00df \u0130 \u0131 \u017f \u212a \u01c5 \u03a3 \u0391\u03a3 \u0391\u03a3.\u0391 \u03a3\u03a3 \ufb01 \uff21\uff22".split(),
    *"\U0001f600 \U0001f468\u200d\U0001f469 \U00010400 \U0001d400 \u200b \u200d \u200e \ufeff \u00ad a\u00adb \u00ad\u00ad \x00 \x01 \x1c \x7f".split(" "),
    *"A An The He Mr. Now You about Ltd ltd limited Co. co. pty. Pty. Miss miss Miss. \u00c9t\u00e9 The\t He\u00a0".split(),
)
GAPS = (*[" "] * 12, "", "", "", "", "  ", "\t", "\u00a0", "\u2003", "\u3000", "\r", "\r\n", "\v", "\f", "\u2028", "\u2029", "\x1f")
PLAIN = "a dog runs on the green grass while two men in red shirts watch a woman near water".split()


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
            piece = rng.choice(PLAIN)
        elif dice < 0.97:
            piece = chr(rng.randrange(0x250))
        else:
            piece = chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x10000), rng.randrange(0x10000, 0x11000))))
        if rng.random() < 0.15:
            piece = rng.choice((str.upper, str.lower, str.title))(piece)
        found += (piece, rng.choice(GAPS))
    return "".join(found)


def hard_captions(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [hard_text(rng, rng.randrange(12)) for _ in range(count)]
