"""What a caller hands over, made plain: strings in lists or tuples, or an error that says which is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from m4i_fast.errors import DataError

__all__ = ["as_rows", "as_tuple", "check_lengths", "kind_of", "plain_text", "plain_texts", "read_once"]

T = TypeVar("T")
_ONE_VALUE: Final = (str, bytes, bytearray, memoryview)
_NO_ORDER: Final = (Mapping, set, frozenset)


def as_rows(rows: Iterable[T], name: str) -> list[T] | tuple[T, ...]:
    """As ``as_tuple``, but a list stays the caller's own, which others may change."""
    return rows if type(rows) in {list, tuple} else as_tuple(rows, name)  # type: ignore[return-value]  # mypy reads no type()


def as_tuple(rows: Iterable[T], name: str) -> tuple[T, ...]:
    """``rows``, an argument of this name: anything that yields its items in their order, a generator too.

    Raises:
        DataError: it is one value; or a table, a mapping or a set, of which other things would be read, or in no order.
    """
    if isinstance(rows, _ONE_VALUE) or not hasattr(rows, "__iter__") or getattr(rows, "ndim", 1) == 0:
        raise DataError(
            f"a list is wanted, not one value of type '{type(rows).__name__}'", where=name, cure="Put it into a list."
        )
    if isinstance(rows, _NO_ORDER) or hasattr(rows, "columns"):
        raise DataError(
            f"a list is wanted, not a value of type '{type(rows).__name__}'",
            where=name,
            cure="Give a list, in the order of the records.",
        )
    return tuple(rows)


def read_once(
    hypotheses: Iterable[str], references: Iterable[Iterable[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Both as tuples that nobody else changes, to be read again; whether all are strings is not looked at.

    Raises:
        DataError: the lengths differ, or something is not a list (says which).
    """
    said, rows = as_tuple(hypotheses, "hypotheses"), as_tuple(references, "references")
    check_lengths(len(said), len(rows))
    return said, tuple([tuple(row) if type(row) in {list, tuple} else _row(row, i) for i, row in enumerate(rows)])


def plain_texts(
    hypotheses: Iterable[object], references: Iterable[Any]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """As ``read_once``; and all are strings, of ``str`` itself and not of a class that may have its own ways.

    Raises:
        DataError: the lengths differ, or something is not a list or not a string (says which).
    """
    said, rows = as_tuple(hypotheses, "hypotheses"), as_tuple(references, "references")
    check_lengths(len(said), len(rows))
    plain_said: list[str] = []
    plain_rows: list[tuple[str, ...]] = []
    for i, (hypothesis, row) in enumerate(zip(said, rows, strict=True)):
        if not isinstance(hypothesis, str):
            raise DataError(
                f"the hypothesis is {kind_of(hypothesis)}, not a string",
                where=f"hypotheses[{i}]",
                cure="Give an empty string where the model said nothing, or leave the record out.",
            )
        plain_said.append(plain_text(hypothesis))
        texts = _row(row, i)
        for j, reference in enumerate(texts):
            if not isinstance(reference, str):
                raise DataError(
                    f"the reference is {kind_of(reference)}, not a string",
                    where=f"references[{i}][{j}]",
                    cure="Leave a missing reference out; a record may have none.",
                )
        plain_rows.append(tuple(map(plain_text, texts)))
    return tuple(plain_said), tuple(plain_rows)


def plain_text(text: str) -> str:
    """The same characters as a ``str`` that is of no other class: NumPy's, say, or one that lowers its own way."""
    return text if type(text) is str else str.__str__(text)


def check_lengths(hypotheses: int, references: int) -> None:
    """Raise a DataError where they are not as many."""
    if hypotheses != references:
        raise DataError(
            f"there are {hypotheses} hypotheses but references for {references}",
            where="hypotheses, references",
            cure="Give one list of references (it may be empty) for each hypothesis.",
        )


def kind_of(thing: object) -> str:
    """How a message names something that is of the wrong type."""
    return "None" if thing is None else f"of type '{type(thing).__name__}'"


def _row(row: Any, record: int) -> tuple[Any, ...]:
    """The references of a record."""
    wrong = isinstance(row, (*_ONE_VALUE, *_NO_ORDER)) or hasattr(row, "columns")
    if wrong or not hasattr(row, "__iter__") or getattr(row, "ndim", 1) == 0:
        raise DataError(
            f"the references of a record are {kind_of(row)}, not a list of strings",
            where=f"references[{record}]",
            cure='Write one list of references a record: [["a dog runs", "a dog"], ["a cat"]].',
        )
    return tuple(row)
