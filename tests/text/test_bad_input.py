"""Bad input through every door: a message that says what, where and the cure; never a crash, never a wrong number."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import ConfigError, DataError, UserError
from m4i_fast.kernels.backend import PreparedReferences, built_backends, overlap_statistics, set_statistics
from m4i_fast.kernels.ids import TokenIds, id_statistics, nearest, overlap_matrix, subsequence_lengths
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.text.nearest import nearest_captions
from m4i_fast.text.overlap import References, counted, overlap, overlap_ids, overlaps
from m4i_fast.text.recipes import recipe_named


@pytest.fixture(params=built_backends(), autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("M4I_FAST_KERNELS", request.param)
    name: str = request.param
    return name


# Each takes hypotheses and references.
DOORS: dict[str, Callable[[Any, Any], object]] = {
    "overlap": overlap,
    "overlap m4i": lambda said, rows: overlap(said, rows, recipe="m4i"),
    "overlap coco-space": lambda said, rows: overlap(said, rows, recipe="coco/coco-space/mean"),
    "overlap ptb-exact": lambda said, rows: overlap(said, rows, recipe="coco/ptb-exact"),
    "overlap ptb": lambda said, rows: overlap(said, rows, recipe="coco/ptb"),
    "overlaps": lambda said, rows: overlaps(said, rows, ["coco", "rouge-score", "m4i"]),
    "References.score": lambda said, rows: References(rows).score(said),
    "References.score m4i": lambda said, rows: References(rows, recipe="m4i").score(said),
    "References.score ptb-exact": lambda said, rows: References(rows, recipe="coco/ptb-exact").score(said),
    "References.scores": lambda said, rows: References(rows, recipe=["sacrebleu", "coco/ptb-exact", "m4i"]).scores(
        said
    ),
    "counted": lambda said, rows: counted(said, rows, [recipe_named("coco/ptb-exact"), recipe_named("m4i")]),
    "overlap_statistics": lambda said, rows: overlap_statistics(said, rows, tokeniser="words"),
    "overlap_statistics, threads": lambda said, rows: overlap_statistics(said, rows, tokeniser="13a", threads=3),
    "set_statistics": set_statistics,
    "PreparedReferences": lambda said, rows: PreparedReferences(rows, tokeniser="porter").statistics(said),
}


class Table:
    """What a data frame is to a loop: names of columns."""

    ndim = 2
    columns = ("caption",)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return 1


class Column:
    """What a data frame's column is to a loop."""

    ndim = 1

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def keys(self) -> range:
        return range(len(self.values))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, at: int) -> Any:
        return self.values[at]


BAD_TEXTS: list[tuple[Any, Any, str]] = [
    (["a", None], [["a"], ["a"]], r"^hypotheses\[1\]: the hypothesis is None, not a string\. \w"),
    (["a", b"b"], [["a"], ["a"]], r"^hypotheses\[1\]: the hypothesis is of type 'bytes', not a string"),
    (["a", 3], [["a"], ["a"]], r"^hypotheses\[1\]: the hypothesis is of type 'int'"),
    (["a", float("nan")], [["a"], ["a"]], r"^hypotheses\[1\]: the hypothesis is of type 'float'"),
    (["a", ["b"]], [["a"], ["a"]], r"^hypotheses\[1\]: the hypothesis is of type 'list'"),
    (["a"], [["a", None]], r"^references\[0\]\[1\]: the reference is None, not a string\. Leave"),
    (["a"], [["a", ["b"]]], r"^references\[0\]\[1\]: the reference is of type 'list'"),
    (["a", "b"], [["a"], [b"a"]], r"^references\[1\]\[0\]: the reference is of type 'bytes'"),
    (["a", "b"], [["a"], ("x", "y", 1)], r"^references\[1\]\[2\]: the reference is of type 'int'"),
    (["a"], ["a"], r"^references\[0\]: the references of a record are of type 'str', not a list"),
    (["a"], [b"a"], r"^references\[0\]: the references of a record are of type 'bytes', not a list"),
    (["a"], [None], r"^references\[0\]: the references of a record are None, not a list"),
    (["a"], [7], r"^references\[0\]: the references of a record are of type 'int', not a list"),
    (["a"], [{"a": 1}], r"^references\[0\]: the references of a record are of type 'dict', not a list"),
    (
        ["a"],
        [types.MappingProxyType({"a": 1})],
        r"^references\[0\]: the references of a record are of type 'mappingproxy'",
    ),
    (["a"], [{"a"}], r"^references\[0\]: the references of a record are of type 'set', not a list"),
    (["a"], [Table()], r"^references\[0\]: the references of a record are of type 'Table', not a list"),
    (["a"], [np.array("a")], r"^references\[0\]: the references of a record are of type 'ndarray', not a list"),
    (["a"], [(text for text in ("a", None))], r"^references\[0\]\[1\]: the reference is None"),
    (["a"], np.array([["a", None]], object), r"^references\[0\]\[1\]: the reference is None"),
    (np.array(["a", None], object), [["a"], []], r"^hypotheses\[1\]: the hypothesis is None"),
    (np.array([b"a"]), [["a"]], r"^hypotheses\[0\]: the hypothesis is of type 'bytes_'"),
    (np.array([["a"]]), [["a"]], r"^hypotheses\[0\]: the hypothesis is of type 'ndarray'"),
    (["a", "b"], [["a"]], "^hypotheses, references: there are 2 hypotheses but references for 1"),
    ([], [["a"]], "^hypotheses, references: there are 0 hypotheses but references for 1"),
    ("a", [["a"]], "^hypotheses: a list is wanted, not one value of type 'str'"),
    (b"a", [["a"]], "^hypotheses: a list is wanted, not one value of type 'bytes'"),
    (None, [["a"]], "^hypotheses: a list is wanted, not one value of type 'NoneType'"),
    (5, [["a"]], "^hypotheses: a list is wanted, not one value of type 'int'"),
    (np.array("a"), [["a"]], "^hypotheses: a list is wanted, not one value of type 'ndarray'"),
    ({"a": 1}, [["a"]], "^hypotheses: a list is wanted, not a value of type 'dict'. Give a list, in the order"),
    ({"a"}, [["a"]], "^hypotheses: a list is wanted, not a value of type 'set'"),
    (Table(), [["a"]], "^hypotheses: a list is wanted, not a value of type 'Table'"),
    (["a"], {"a": ["a"]}, "^references: a list is wanted, not a value of type 'dict'"),
    (["a"], "a", "^references: a list is wanted, not one value of type 'str'"),
    (["a"], None, "^references: a list is wanted, not one value of type 'NoneType'"),
    (["a"], Table(), "^references: a list is wanted, not a value of type 'Table'"),
    (["a"], 5, "^references: a list is wanted, not one value of type 'int'"),
]


@pytest.mark.parametrize("door", DOORS)
def test_bad_texts_are_named(door: str) -> None:
    for said, rows, message in BAD_TEXTS:
        if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], types.GeneratorType):
            rows = [(text for text in ("a", None))]  # noqa: PLW2901 - a generator is read but once
        with pytest.raises(DataError, match=message) as caught:
            DOORS[door](said, rows)
        assert caught.value.cure
        assert caught.value.exit_code == 2


SURROGATES: list[tuple[Any, Any, str]] = [
    (["a", "b", "\ud800 c"], [["a"], [], ["b"]], r"^hypotheses\[2\]: the text holds a lone surrogate"),
    (["a", "b", "c"], [["a", "b"], [], ["c", "d", "\udfff"]], r"^references\[2\]\[2\]: the text holds .* coco/ptb\.$"),
]


@pytest.mark.parametrize("door", [each for each in DOORS if each == "counted" or "ptb-exact" in each])
def test_a_text_that_no_document_can_hold_is_named_where_the_caller_has_it(door: str) -> None:
    for said, rows, message in SURROGATES:
        with pytest.raises(DataError, match=message):
            DOORS[door](said, rows)
    assert np.isfinite(overlap(["\ud800 c"], [["c"]], recipe="coco/ptb").values).all()


@pytest.mark.parametrize("at", [0, 255, 256, 4999])
def test_a_bad_text_among_many_is_found_whichever_thread_has_it(at: int) -> None:
    said: list[Any] = ["a dog"] * 5000
    rows: list[Any] = [["a cat", "a dog"]] * 5000
    with pytest.raises(DataError, match=rf"^hypotheses\[{at}\]"):
        overlap_statistics([*said[:at], 1, *said[at + 1 :]], rows, tokeniser="words", threads=4)
    with pytest.raises(DataError, match=rf"^references\[{at}\]\[1\]"):
        overlap_statistics(said, [*rows[:at], ["a", b"b"], *rows[at + 1 :]], tokeniser="words", threads=4)


class Shouting(str):
    """A string with ways of its own: what counts are its characters."""

    __slots__ = ()

    def lower(self) -> str:
        return self.upper()

    def split(self, *_: Any) -> list[str]:  # type: ignore[override]
        return ["shout"]

    def encode(self, *_: Any) -> bytes:
        return b"shout"

    def isascii(self) -> bool:
        return False

    def __str__(self) -> str:
        return "shout"

    def __iter__(self) -> Iterator[str]:
        return iter("shout")

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return True


class Doubled(list[str]):
    """A list that yields more than it holds."""

    def __iter__(self) -> Iterator[str]:
        yield from ("a dog", "a cat")


TEXTS = ["a dog.", "", "the caf\u00e9", "A"], [["a dog", "a cat."], ["", "x"], ["caf\u00e9 the"], ["a"]]
GOOD: dict[str, Callable[[], tuple[Any, Any]]] = {
    "tuples": lambda: (tuple(TEXTS[0]), tuple(map(tuple, TEXTS[1]))),
    "generators": lambda: ((text for text in TEXTS[0]), (row for row in TEXTS[1])),
    "generators of generators": lambda: (iter(TEXTS[0]), [(text for text in row) for row in TEXTS[1]]),
    "numpy": lambda: (np.array(TEXTS[0]), [np.array(row) for row in TEXTS[1]]),
    "numpy objects": lambda: (np.array(TEXTS[0], object), [np.array(row, object) for row in TEXTS[1]]),
    "columns": lambda: (Column(TEXTS[0]), Column([Column(row) for row in TEXTS[1]])),
    "values of a dict": lambda: (dict(enumerate(TEXTS[0])).values(), dict(enumerate(TEXTS[1])).values()),
    "a class of strings": lambda: (
        [Shouting(text) for text in TEXTS[0]],
        [list(map(Shouting, row)) for row in TEXTS[1]],
    ),
    "a class of lists": lambda: (TEXTS[0], [Doubled(["a dog"]), *TEXTS[1][1:]]),
}


@pytest.mark.parametrize("kind", GOOD)
def test_what_yields_strings_in_their_order_is_taken(kind: str) -> None:
    rows = [["a dog", "a cat"], *TEXTS[1][1:]] if kind == "a class of lists" else TEXTS[1]
    recipes = ("coco", "coco/coco-space", "coco/ptb-exact", "rouge-score/porter", "sacrebleu", "nltk/mean", "m4i")
    for recipe in recipes:
        expected = overlap(TEXTS[0], rows, recipe=recipe).values
        assert np.isfinite(expected).all()
        said, given = GOOD[kind]()
        np.testing.assert_array_equal(overlap(said, given, recipe=recipe).values, expected)
        said, given = GOOD[kind]()
        np.testing.assert_array_equal(overlaps(said, given, [recipe, "m4i", "coco"])[0].values, expected)
        said, given = GOOD[kind]()
        np.testing.assert_array_equal(References(given, recipe=recipe).score(said).values, expected)
        said, given = GOOD[kind]()
        tables = References(given, recipe=[recipe, "m4i", "coco/ptb-exact", "coco"]).scores(said)
        np.testing.assert_array_equal(tables[0].values, expected)


def test_a_numbering_takes_the_same() -> None:
    expected = Numbering("words").ids(TEXTS[0])
    for kind in ("tuples", "generators", "numpy", "columns", "values of a dict", "a class of strings"):
        found = Numbering("words").ids(GOOD[kind]()[0])
        assert list(found.lists()) == list(expected.lists()), kind


ONE, TWO = TokenIds.from_lists([[1]]), TokenIds.from_lists([[1], [2]])

BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "recipe": (lambda: overlap(["a"], [["a"]], recipe="meteor"), "recipe: 'meteor' is not a recipe. Choose one of"),
    "recipe None": (lambda: overlap(["a"], [["a"]], recipe=None), "recipe: 'None' is not a recipe"),  # type: ignore[arg-type]
    "recipe of References": (lambda: References([["a"]], recipe="x"), "recipe: 'x' is not a recipe"),
    "recipe of ids": (lambda: overlap_ids(ONE, ONE, recipe="x"), "recipe: 'x' is not a recipe"),
    "one of the recipes": (lambda: overlaps(["a"], [["a"]], ["coco", "x"]), "recipe: 'x' is not a recipe"),
    "a string of recipes": (lambda: overlaps(["a"], [["a"]], "coco"), "recipes: a list is wanted, not one value"),
    "no recipes": (lambda: overlaps(["a"], [["a"]], None), "recipes: a list is wanted"),  # type: ignore[arg-type]
    "tokeniser": (lambda: overlap(["a"], [["a"]], tokeniser="x"), "tokeniser: recipe 'coco' does not work with"),
    "tokeniser list": (
        lambda: overlap_statistics(["a"], [["a"]], tokeniser=["words"]),  # type: ignore[arg-type]
        "tokeniser: .* is not a tokeniser. Choose one of",
    ),
    "tokeniser of Numbering": (lambda: Numbering(None), "tokeniser: 'None' is not a tokeniser"),  # type: ignore[arg-type]
    "tokeniser of prepared": (lambda: PreparedReferences([], tokeniser="ids"), "tokeniser: 'ids' is not a tokeniser"),
    "tokeniser of texts that are numbers": (lambda: overlap(["a"], [["a"]], tokeniser="ids"), "tokeniser: 'ids'"),
    "reduce": (lambda: overlap(["a"], [["a"]], reduce="median"), "reduce: 'median' is no way"),
    "reduce 5": (lambda: overlap(["a"], [["a"]], reduce=5), "reduce: '5' is no way"),  # type: ignore[arg-type]
    "reduce list": (
        lambda: overlap(["a"], [["a"]], recipe="coco/mean", reduce=["mean"]),
        "recipe: 'mean' in 'coco/mean'",
    ),  # type: ignore[arg-type]
    "reduce array": (lambda: overlap(["a"], [["a"]], reduce=np.array(["max", "mean"])), "reduce: .* is no way"),  # type: ignore[arg-type]
    "tokeniser list of overlap": (
        lambda: overlap(["a"], [["a"]], recipe="coco/words", tokeniser=["words"]),  # type: ignore[arg-type]
        "recipe: 'words' in 'coco/words'",
    ),
    "recipes of References": (lambda: References([["a"]], recipe=["coco", "x"]), "recipe: 'x' is not a recipe"),
    "no recipes of References": (lambda: References([["a"]], recipe=[]), "recipe: there is none. Give one or more"),
    "None of References": (lambda: References([["a"]], recipe=None), "recipe: 'None' is not a recipe"),  # type: ignore[arg-type]
    "masked ids": (
        lambda: TokenIds(np.ma.array([1, 2], mask=[0, 1]), np.array([0, 2])),
        "ids: some of its values are masked. Leave",
    ),
    "masked offsets": (lambda: TokenIds(np.array([1]), np.ma.array([0, 1], mask=[1, 0])), "offsets: some .* masked"),
    "masked texts": (
        lambda: TokenIds.from_lists([[1], np.ma.array([1, 2], mask=[0, 1])]),  # type: ignore[list-item]
        r"texts\[1\]: some of its values are masked",
    ),
    "masked table": (lambda: TokenIds.from_lists(np.ma.array([[1], [2]], mask=[[0], [1]])), r"texts\[1\]: some"),  # type: ignore[arg-type]
    "masked matrix": (
        lambda: TokenIds.from_padded(np.ma.array([[1, 2]], mask=[[0, 1]]), [2]),
        "matrix: some of its values are masked",
    ),
    "masked lengths": (lambda: TokenIds.from_padded([[1, 2]], np.ma.array([2], mask=[1])), "lengths: some .* masked"),
    "masked rows": (
        lambda: id_statistics(ONE, ONE, np.ma.array([0, 1], mask=[0, 1])),
        "rows: some of its values are masked",
    ),
    "ids for m4i": (lambda: overlap_ids(ONE, ONE, recipe="m4i"), "recipe 'm4i' does not work with .* 'ids'"),
    "negative id": (lambda: TokenIds.from_lists([[0, -1]]), r"ids\[1\]: the token id -1 is out of range"),
    "id beyond int32": (lambda: TokenIds.from_lists([[2**31]]), r"ids\[0\]: the token id 2147483648 is out of range"),
    "id beyond int64": (lambda: TokenIds.from_lists([[2**63]]), r"ids\[0\]: the token id 9223372036854775808 is out"),
    "id beyond all": (lambda: TokenIds.from_lists([[2**64]]), "ids: integers in 1 dimension are wanted"),
    "float ids": (lambda: TokenIds.from_lists([[1.0]]), "ids: integers in 1 .* not float64"),  # type: ignore[list-item]
    "nan ids": (lambda: TokenIds(np.array([np.nan]), np.array([0, 1])), "ids: integers in 1 .* not float64"),  # type: ignore[arg-type]
    "bool ids": (lambda: TokenIds.from_lists([[True]]), "ids: integers in 1 dimension are wanted, not bool"),
    "word ids": (lambda: TokenIds.from_lists([["a"]]), "ids: integers in 1 dimension are wanted"),  # type: ignore[list-item]
    "ids of lists": (lambda: TokenIds.from_lists([[1], [[2]]]), "ids: rows of several lengths"),  # type: ignore[list-item]
    "ids of one list": (lambda: TokenIds.from_lists([1, 2]), r"texts\[0\]: a list is wanted"),  # type: ignore[list-item]
    "ids of a string": (lambda: TokenIds.from_lists(["12"]), r"texts\[0\]: a list is wanted"),  # type: ignore[list-item]
    "ids of None": (lambda: TokenIds.from_lists([[1], None]), r"texts\[1\]: a list is wanted"),  # type: ignore[list-item]
    "ids of nothing": (lambda: TokenIds.from_lists(None), "texts: a list is wanted"),  # type: ignore[arg-type]
    "ids of a dict": (lambda: TokenIds.from_lists({0: [1]}), "texts: a list is wanted"),  # type: ignore[arg-type]
    "falling offsets": (lambda: TokenIds(np.array([1, 2]), np.array([0, 3, 2])), "offsets: .* do not part 2 ids"),
    "falling unsigned offsets": (
        lambda: TokenIds(np.array([1, 2]), np.array([0, 3, 2], np.uint64)),
        "offsets: the offsets do not part 2 ids",
    ),
    "no offsets": (lambda: TokenIds(np.array([1]), np.array([], np.int64)), "offsets: the offsets do not part 1 ids"),
    "offsets that stop": (lambda: TokenIds(np.array([1, 2]), np.array([0, 1])), "offsets: .* do not part 2 ids"),
    "lengths": (lambda: TokenIds.from_padded([[1, 2]], [3]), r"lengths\[0\]: a row of 2 ids cannot hold 3"),
    "negative lengths": (lambda: TokenIds.from_padded([[1, 2]], [-1]), r"lengths\[0\]: .* cannot hold -1"),
    "ragged rows": (lambda: TokenIds.from_padded([[1], [1, 2]], [1, 1]), "matrix: rows of several lengths"),
    "no matrix": (lambda: TokenIds.from_padded(None, [1]), "matrix: integers in 2 dimensions are wanted"),  # type: ignore[arg-type]
    "between": (lambda: TWO.between(1, 3), "first, last: there are no texts 1 to 3 among 2"),
    "between turned": (lambda: TWO.between(2, 1), "first, last: there are no texts 2 to 1 among 2"),
    "lists for ids": (lambda: overlap_ids([[1]], ONE), "hypotheses: token ids are wanted, not .* 'list'. Make"),  # type: ignore[arg-type]
    "an array for ids": (lambda: id_statistics(ONE, np.array([1])), "references: token ids are wanted"),  # type: ignore[arg-type]
    "lists for a search": (lambda: nearest(ONE, [[1]], 1), "candidates: token ids are wanted"),  # type: ignore[arg-type]
    "lists for a matrix": (lambda: overlap_matrix([[1]], ONE), "hypotheses: token ids are wanted"),  # type: ignore[arg-type]
    "rows that stop": (lambda: id_statistics(ONE, TWO, [0, 1]), "rows: they do not part 2 references among 1"),
    "rows beyond": (lambda: subsequence_lengths(ONE, TWO, [0, 3]), "rows: they do not part 2 references"),
    "falling rows": (lambda: overlap_ids(TWO, TWO, [0, 3, 2]), "rows: they do not part 2 references among 2"),
    "negative rows": (lambda: overlap_ids(TWO, TWO, [0, -1, 2]), "rows: they do not part 2 references among 2"),
    "huge rows": (lambda: overlap_ids(TWO, TWO, np.array([0, 2**63, 2], np.uint64)), "rows: they do not part"),
    "float rows": (lambda: overlap_ids(ONE, ONE, [0.0, 1.0]), "rows: integers in 1 dimension are wanted"),
    "uneven rows": (lambda: overlap_ids(TWO, ONE), "references: 1 references are not the same number for each of 2"),
    "k 0": (lambda: nearest(ONE, ONE, 0), "k: 0 neighbours cannot be found"),
    "k float": (lambda: nearest(ONE, ONE, 1.5), "k: 1.5 neighbours cannot be found"),  # type: ignore[arg-type]
    "k None": (lambda: nearest(ONE, ONE, None), "k: None neighbours cannot be found"),  # type: ignore[arg-type]
    "k huge": (lambda: nearest(ONE, ONE, 2**40), "k: 1099511627776 neighbours cannot be found. Give 1 to 1048576"),
    "k of captions": (lambda: nearest_captions(["a"], ["a"], -1), "k: -1 neighbours cannot be found"),
    "measure": (lambda: nearest(ONE, ONE, 1, measure="bleu"), "measure: 'bleu' is not a measure"),
    "measure of captions": (lambda: nearest_captions(["a"], ["a"], measure="x"), "measure: 'x' is not a measure"),
    "captions None": (lambda: nearest_captions(None, ["a"]), "a list is wanted"),  # type: ignore[arg-type]
    "captions str": (lambda: nearest_captions("abc", ["a"]), "a list is wanted, not one value of type 'str'"),
    "captions dict": (lambda: nearest_captions({"a": 1}, ["a"]), "a list is wanted, not .* 'dict'"),  # type: ignore[arg-type]
    "caption None": (lambda: nearest_captions(["a", None], ["a"]), r"\[1\]: the text is None"),  # type: ignore[list-item]
    "caption bytes": (lambda: nearest_captions(["a"], [b"a"]), r"\[0\]: the text is of type 'bytes'"),  # type: ignore[list-item]
    "texts": (lambda: Numbering().ids(["a", 1]), r"texts\[1\]: the text is of type 'int'"),  # type: ignore[list-item]
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_bad_calls_are_named(call: str) -> None:
    make, message = BAD_CALLS[call]
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert caught.value.cure


@pytest.mark.parametrize("threads", [-1, 1025, 2**70, 1.5, "2", None])
def test_threads_that_cannot_be(threads: Any) -> None:
    for call in (
        lambda: overlap_statistics(["a"], [["a"]], tokeniser="words", threads=threads),
        lambda: PreparedReferences([["a"]], tokeniser="words").statistics(["a"], threads=threads),
        lambda: id_statistics(ONE, ONE, threads=threads),
        lambda: subsequence_lengths(ONE, ONE, threads=threads),
        lambda: nearest(ONE, ONE, 1, threads=threads),
        lambda: overlap_matrix(ONE, ONE, threads=threads),
    ):
        with pytest.raises(ConfigError, match=r"^threads: .* threads cannot work\. Give 0 \(all cores\) to 1024"):
            call()


def test_lengths_of_any_integer_are_taken() -> None:
    for kind in (np.uint8, np.int16, np.uint64):
        found = TokenIds.from_padded(np.array([[1, 2], [3, 0]], kind), np.array([2, 1], kind))
        assert list(found.lists()) == [[1, 2], [3]]


def test_what_was_checked_cannot_change() -> None:
    """The core trusts ids and offsets while other threads run."""
    ids, offsets = np.array([1, 2, 3], np.int32), np.array([0, 1, 3], np.int64)
    texts = TokenIds(ids, offsets)
    ids[:], offsets[1] = -5, 1000
    assert list(texts.lists()) == [[1], [2, 3]]
    with pytest.raises(ValueError, match="read-only"):
        texts.ids[0] = -5
    with pytest.raises(ValueError, match="read-only"):
        texts.offsets[0] = 7


def test_a_mask_that_hides_nothing_is_no_mask() -> None:
    plain = TokenIds(np.ma.array([1, 2], mask=[0, 0]), np.ma.array([0, 2]))
    assert list(plain.lists()) == [[1, 2]]
    assert list(TokenIds.from_lists([np.ma.array([3, 4])]).lists()) == [[3, 4]]  # type: ignore[list-item]


def test_nothing_at_all() -> None:
    for recipe in ("coco", "m4i", "sacrebleu"):
        assert overlap([], [], recipe=recipe).values.shape == (0, 7)
        assert References([], recipe=recipe).score([]).values.shape == (0, 7)
    empty = TokenIds.from_lists([])
    assert overlap_ids(empty, empty).values.shape == (0, 7)
    assert nearest_captions([], ["a"], 2).indices.shape == (0, 2)
    assert nearest_captions(["a"], [], 2).indices.tolist() == [[-1, -1]]
    assert overlaps(["a"], [["a"]], []) == ()
