"""The PTB tokeniser: by hand, every backend against the definition, and all of them against the Java original."""

from __future__ import annotations

import importlib
import json
import os
import string
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import DataError
from m4i_fast.kernels import backend
from m4i_fast.kernels.ptb import lowering, truth, words
from m4i_fast.kernels.ptb.tables import tables
from m4i_fast.text.ptb import ptb_tokenise
from tests.kernels.ptb_java import FIXTURE, java, needs_java
from tests.kernels.ptb_texts import PIECES, hard_captions

CORES = [name for name in backend.built_backends() if name in backend.CORES]
DATA = Path(os.environ.get("M4I_FAST_DATA", ""))
TWOFOLD = ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna")
"""The words of letters that are two tokens."""


def exact(captions: list[str], name: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        return ptb_tokenise(captions)


def repaired(captions: list[str], name: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        return ptb_tokenise(captions, repaired=True)


@pytest.mark.parametrize("name", ["reference", *CORES])
@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog's ball, isn't it?", "a dog 's ball is n't it"),
        ("Two MEN -- one (tall) -- wait...", "two men one -lrb- tall -rrb- wait"),
        ("", ""),
        (" \t ", ""),
        ("... ! ?", ""),
        ("...!?", "!?"),
        ("They cannot say 'hello' or \"bye\".", "they can not say hello or bye"),
        ("I'm gonna; you'll wanna: we're", "i 'm gon na you 'll wan na we re"),  # a lone end, taken for a quote
        ("'tis and 'twas o'clock O'Neil", "'t is and 't was o'clock o'neil"),
        ("rock 'n' roll, the '90s and '99 y'all", "rock 'n' roll the '90s and '99 y' all"),
        ("e.g. U.S. and a.m. Mr. Smith etc. x", "e.g. u.s. and a.m. mr. smith etc. x"),
        ("from the U.S. The end", "from the u.s. the end"),
        ("plan B. The end", "plan b the end"),
        ("see fig. 5 and fig. five no. 3 no. no", "see fig. 5 and fig five no. 3 no no"),
        ("1,000.5 at 12:30, -5 or 3 1/2 \u00bd", "1,000.5 at 12:30 -5 or 3\u00a01/2 1/2"),
        ("(555) 123-4567 or 555.123.4567", "-lrb-555-rrb-\u00a0123-4567 or 555.123.4567"),
        ("10/12/1999 3/4 and/or he/she", "10/12/1999 3/4 and/or he/she"),
        ("see http://a.b/c?d=(e) or www.x.com/yz.", "see http://a.b/c?d= -lrb- e -rrb- or www.x.com/yz"),
        ("mail <me@x.org> @you #tag a.pdf b.tar.gz", "mail <me@x.org> @you #tag a.pdf b.tar.gz"),
        ("AT&T AT&amp;T R&D &amp; S&P-500 a&b", "at&t at&t r&d & s&p-500 a & b"),
        ("<b class='x y'>bold</b> < &lt; >> <>", "<b\u00a0class='x\u00a0y'> bold </b> < < >> < >"),
        ("\u00a35 \u20ac5 5\u00a2 US$ 5 $5", "# 5 $ 5 5 cents us$ 5 $ 5"),
        ("\u201cquoted\u201d \u2018single\u2019 \u00abx\u00bb \u201elow\u201c", "quoted single x \u201e low"),
        ("co\u00adop\u00aderate \u00ad e-mail well-made", "cooperate e-mail well-made"),
        (":) ;-) (^_^) x_x 8)", ":-rrb- ;--rrb- -lrb-^_^-rrb- x_x 8 -rrb-"),
        ("a*b ** \\* [x] {y} a_b", "a * b ** \\* -lsb- x -rsb- -lcb- y -rcb- a_b"),
        (
            "\u4f60\u597d\u3002\u4e16\u754c \U0001f600 caf\u00e9 \u0391\u03a3",
            "\u4f60\u597d \u3002 \u4e16\u754c caf\u00e9 \u03b1\u03c2",
        ),
        ("a\nb", "a b"),
        ("a\0b \x01 c\x7fd \u200be", "a b c d e"),
        ("\u212aans. kan\u017f. x", "kans. kan\u017f. x"),
        ("c++ C# f# g#", "c++ c# f# g #"),
        ("Pty. Ltd. co. limited", "pty. ltd. co. limited"),
        ("What?! -LRB- pro- anti-war", "what ?! -lrb- pro- anti-war"),
    ],
)
def test_by_hand(caption: str, expected: str, name: str) -> None:
    assert exact([caption], name) == [expected]
    assert repaired([caption], name) == [expected]


@pytest.mark.parametrize("name", ["reference", *CORES])
def test_the_faults_of_a_document_and_their_repair(name: str) -> None:
    shifted = ["one \u2028 two", "three", "a\rb", "four"]
    assert exact(shifted, name) == ["one", "two", "three", "a"]
    assert repaired(shifted, name) == ["one two", "three", "a b", "four"]
    for separator in "\v\f\r\u2028\u2029":
        assert exact([f"x{separator}y", "z"], name) == ["x", "y"]
        assert repaired([f"x{separator}y", "z"], name) == ["x y", "z"]
    assert exact(["x\r", "y"], name) == ["x", "y"]  # one end of a line with the one between the captions
    assert exact(["x\n\r\n", "y"], name) == ["x", ""]
    # What stands ahead: the next caption.
    assert exact(["Plan B.", "The end", "Plan B."], name) == ["plan b", "the end", "plan b."]
    assert repaired(["Plan B.", "The end", "Plan B."], name) == ["plan b.", "the end", "plan b."]
    assert exact(["It is no.", "5 dogs"], name) == ["it is no.", "5 dogs"]
    assert repaired(["It is no.", "5 dogs"], name) == ["it is no", "5 dogs"]
    # A tag goes over the end of a caption, and stays in two lines.
    assert exact(["<a b='c", "d'> e", "f"], name) == ["<a\u00a0b='c", "d'> e", "f"]
    assert repaired(["<a b='c", "d'> e", "f"], name) == ["< a b = c", "d' > e", "f"]
    assert exact(["<.[^x= . y", "; \u0159<>]"], name) == ["<.[^x= y", "\u0159<>]"]


def test_nothing_and_one() -> None:
    for name in ["reference", *CORES]:
        assert exact([], name) == repaired([], name) == []
        assert exact(["", ""], name) == repaired(["", ""], name) == ["", ""]
    assert ptb_tokenise(("A dog.", "C")) == ["a dog", "c"]


@pytest.mark.parametrize("name", ["reference", *CORES])
@pytest.mark.parametrize("mode", [False, True])
@pytest.mark.parametrize(
    ("captions", "message"),
    [
        (["a", None], r"captions\[1\]: the caption is None, not a string"),
        ([b"a"], r"captions\[0\]: the caption is of type 'bytes', not a string"),
        (["a", "b", 5], r"captions\[2\]: the caption is"),
        ("a b", "captions: a list is wanted, not one value of type 'str'"),
        (None, "captions: a list is wanted"),
    ],
)
def test_what_is_no_caption_is_named(captions: list[str], message: str, mode: bool, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        with pytest.raises(DataError, match=message):
            ptb_tokenise(captions, repaired=mode)


@pytest.mark.parametrize("name", ["reference", *CORES])
@pytest.mark.parametrize("caption", ["x \ud800", "\udc00", "\ud83dx\U0001f600", "http://\ud800x"])
def test_a_lone_surrogate_has_no_exact_tokens(caption: str, name: str) -> None:
    with pytest.raises(DataError, match=r"captions\[2\]: the caption holds a lone surrogate.*repaired=True"):
        exact(["a", "\U0001f600", caption], name)
    assert repaired(["x \ud800y", "http://\ud800X z"], name) == ["x y", "http://\ud800x z"]


def test_every_backend_gives_what_the_definition_gives() -> None:
    captions = hard_captions(5, 400)
    document, alone = truth.as_document(captions), list(map(truth.alone, captions))
    assert len(set(document)) > 300
    for name in backend.built_backends():
        if name != "rapidfuzz":  # the definition itself
            assert exact(captions, name) == document
            assert repaired(captions, name) == alone


texts = st.text() | st.text(st.sampled_from("aAsS'.,- \t\u00a0<>=/@:x[^(1\u00ad\u2028\r\u0391\u03a3\u0301&;\U0001f600"))
pieces = st.lists(st.sampled_from(PIECES) | texts).map("".join)


@settings(deadline=None, max_examples=150)
@given(st.lists(pieces, max_size=4))
def test_any_text(captions: list[str]) -> None:
    alone = list(map(truth.alone, captions))
    for name in CORES:
        assert repaired(captions, name) == alone
    encodable = [caption.encode(errors="ignore").decode() for caption in captions]
    document = truth.as_document(encodable)
    for name in CORES:
        assert exact(encodable, name) == document
    # By itself, or as a document of its own: the same, unless it holds the end of a line.
    for caption in encodable:
        if not any(end in caption for end in "\v\f\r\u2028\u2029"):
            assert truth.as_document([caption]) == [truth.alone(caption)]


@pytest.mark.skipif(not CORES, reason="the C++ core is not built here")
def test_every_unit_in_every_width() -> None:
    """Each code point alone, in a word and in an address, in texts of 8, 16 and 32 bits a character."""
    points = [*range(0x3100), *range(0x3100, 0xD800, 37), *range(0xE000, 0x10000, 7), *range(0x10000, 0x110000, 4099)]
    captions = [f"{chr(point)} a{chr(point)}b http://{chr(point)}x{chr(point)}" for point in points]
    expected = list(map(truth.alone, captions))
    assert repaired(captions, CORES[0]) == expected
    wide = [f"{caption} \U0001f600" for caption in captions]
    assert repaired(wide, CORES[0]) == list(map(truth.alone, wide))


@pytest.mark.skipif(not CORES, reason="the C++ core is not built here")
@pytest.mark.parametrize(
    "piece", ["a,", "a;", "\u4f60,", "a.b!", "1,", "'", "<a b='", "&amp", "a&", "x_", "\u0391\u03a3.", "U.S. "]
)
def test_long_texts_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    (alone,) = repaired([text], CORES[0])
    assert exact([text], CORES[0]) == [alone]
    assert time.process_time() - start < 5  # the square of it would take minutes
    short = piece * 40
    assert repaired([short], CORES[0]) == [truth.alone(short)]


WORDS = (
    *TWOFOLD,
    *words.OPENERS.split(),
    "a",
    "no",
    "fig",
    "dog",
    "Standing",
    "xcannot",
    "cannots",
    "little",
    "b" * 15,
)
SIGNS = ("  ", ", ", ". ", " . ", " .", ".", "\n", " \n", ".\n", " .\n", "'s ", "-", " 5", " \u2019", "\x00")
SEPARATORS = (*[" "] * 6, *SIGNS)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.lists(st.sampled_from(WORDS) | st.text("anNtTmM", max_size=9), max_size=24).flatmap(
            lambda row: st.lists(st.sampled_from(SEPARATORS), min_size=len(row), max_size=len(row)).map(
                lambda between: "".join(map("".join, zip(row, between, strict=True)))
            )
        ),
        max_size=4,
    )
)
def test_words_of_letters_by_the_block(captions: list[str]) -> None:
    alone, document = list(map(truth.alone, captions)), truth.as_document(captions)
    for name in CORES:
        assert repaired(captions, name) == alone
        assert exact(captions, name) == document


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("width", ["", " \u2019", " \U0001f600"])
def test_words_at_every_place_of_a_block(name: str, width: str) -> None:
    """Words that are no token, the last word and its full stop, wherever a block of 64 ends."""
    captions = []
    for size in [*range(40, 70), *range(120, 135)]:
        for end in ("", " .", ".", " . .", " ", ".."):
            captions += [f"{'a' * (size - 20)} b {word} c{end}{width}" for word in ("cannot", "Little")]
            captions += ["ab " * (size // 3) + last + end + width for last in ("x" * (size % 3), "Inc")]
    assert repaired(captions, name) == list(map(truth.alone, captions))
    assert exact(captions, name) == truth.as_document(captions)


@pytest.mark.skipif(not CORES, reason="the C++ core is not built here")
def test_the_core_knows_which_words_of_letters_are_no_token() -> None:
    exact(["a"], CORES[0])
    core: Any = importlib.import_module("m4i_fast.kernels._core")
    others, dotted = map(set, core.ptb_plain_words())
    assert others == {*TWOFOLD}
    listed = (words.ABBREVIATIONS, words.BEFORE_NAMES, words.BEFORE_NUMBERS, words.OPENERS, words.FILE_KINDS)
    texts = {word.replace("\\", "") for each in listed for word in each.split()}
    texts |= others | dotted | {"dog", "cannots", "xgonna", *string.ascii_letters}
    texts |= {word[:-1] for word in texts} | {f"{word}x" for word in texts}
    texts |= {word.upper() for word in texts} | {word.capitalize() for word in texts}
    asked = sorted(text for text in texts if text.isascii() and text.isalpha())
    assert len(asked) > 1000
    follows = ["5", "The end", "a", "ltd"]
    for word in asked:
        small = word.lower()
        assert (truth.alone(f"{word} x") == f"{small} x") == (small not in others)
        if small not in dotted:
            assert truth.alone(f"{word}.") == small
            assert {truth.as_document([f"{word}.", text])[0] for text in follows} == {small}
    assert dotted > {"mr", "st", "inc", "no", "u", "cannot"}


@pytest.mark.skipif(not CORES, reason="the C++ core is not built here")
def test_threads_may_make_the_automaton_at_once() -> None:
    code = (
        "import threading\n"
        "from m4i_fast.text.ptb import ptb_tokenise\n"
        "found = []\n"
        "threads = [threading.Thread(target=lambda: found.append(ptb_tokenise(['A dog.']))) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "assert found == [['a dog']] * 4, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "M4I_FAST_KERNELS": CORES[0]})


@pytest.mark.skipif(not CORES, reason="the C++ core is not built here")
def test_tables_that_do_not_fit_are_refused() -> None:
    code = (
        "from m4i_fast.kernels import _core\n"
        "from m4i_fast.kernels.ptb.tables import tables\n"
        "good = tables()\n"
        "for place, array in enumerate(good):\n"
        "    if place == 12: continue  # fewer characters with a small form\n"
        "    try:\n"
        "        _core.set_ptb_tables(*good[:place], array[:-1] if place != 8 else array[:0], *good[place + 1 :])\n"
        "    except (ValueError, TypeError):\n"
        "        continue\n"
        "    raise SystemExit(f'argument {place} was taken')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u0391\u03a3", "\u03b1\u03c2"),
        ("x.\u03a3", "x.\u03c2"),
        ("/\u03a3", "/\u03c3"),
        ("\u0391\u03a3\u0391", "\u03b1\u03c3\u03b1"),
        ("\u0391\u0301\u03a3\u0301", "\u03b1\u0301\u03c2\u0301"),
        ("\u0391\u03a3-\u0391\u03a3", "\u03b1\u03c3-\u03b1\u03c2"),  # one word to Java, two to Python
        ("\u0391\u03a3:\u0391", "\u03b1\u03c2:\u03b1"),
        ("\u0391..\u03a3", "\u03b1..\u03c3"),
        ("\u03911\u03a3", "\u03b11\u03c2"),
        ("\u0130I", "i\u0307i"),
        ("\u1c89\U00010570\U00010400", "\u1c89\U00010570\U00010428"),
    ],
)
def test_lower_case_is_javas(text: str, expected: str) -> None:
    assert lowering.lower(text) == expected
    for name in CORES:
        assert repaired([f"http://{text}"], name) == [f"http://{expected}"]


def test_the_tables_lower_as_the_definition() -> None:
    lower, pairs, _ = tables()[-3:]
    for point in range(0x10000):
        if chr(point) != "\u0130":
            assert chr(int(lower[point])) == lowering.of_character(chr(point))
    changed = dict(pairs.reshape(-1, 2).tolist())
    for point in range(0x10000, 0x20000):
        assert changed.get(point, point) == ord(lowering.of_character(chr(point)))


def test_what_java_gave_once() -> None:
    pairs = json.loads(FIXTURE.read_text(encoding="ascii"))
    captions, expected = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert len(set(expected)) > 300
    for name in ["reference", *CORES]:
        assert exact(captions, name) == expected


@needs_java
def test_hard_texts_as_java_has_them() -> None:
    captions = hard_captions(int(time.time()), 4000)
    expected = java(captions)
    for name in CORES or ["reference"]:
        assert exact(captions, name) == expected, f"seed of {len(captions)} captions: see the clock"


@needs_java
def test_the_fixture_is_javas() -> None:
    pairs = json.loads(FIXTURE.read_text(encoding="ascii"))
    assert java([pair[0] for pair in pairs]) == [pair[1] for pair in pairs]


@needs_java
@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("archive", ["flickr8k-160.tar", "rsicd-128.tar"])
@pytest.mark.skipif(
    not os.environ.get("M4I_FAST_DATA"), reason="set M4I_FAST_DATA to the folder that holds the data sets"
)
def test_every_caption_of_a_data_set_as_java_has_it(archive: str) -> None:
    with tarfile.open(DATA / archive) as files:
        member = next(each for each in files if each.name.endswith("captions.json"))
        held = files.extractfile(member)
        assert held is not None
        captions = [note["caption"] for note in json.load(held)["annotations"]]
    expected = java(captions)
    for name in CORES or ["reference"]:
        assert exact(captions, name) == expected
        assert repaired(captions, name) == expected
