"""Records as every reader makes them: ids checked, captions cleaned, pictures looked up, nothing dropped in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from m4i_fast.data.readers.places import Found, Places
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["Gathering", "RecordSet", "identifier"]

REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """What a reader read.

    Attributes:
        records: N records in the file's order; ids are distinct.
        columns: the file's further columns (``split``, ``is_member`` ...), N values each, None where a row has none.
        format: the format's name.
        notes: counts of what was put right on the way, for example empty captions that are no reference.
    """

    records: tuple[Record, ...]
    columns: Mapping[str, tuple[Any, ...]]
    format: str
    notes: Mapping[str, int]


@dataclass(slots=True)
class _Draft:
    image: str
    captions: list[str]
    group: str
    error: str | None
    image_sha256: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    found: Found | None = None


class Gathering:
    """Collects the records of one file.

    Args:
        path: the file, for messages.
        format: the format's name.
        places: where pictures lie.
    """

    def __init__(self, path: object, format: str, places: Places) -> None:  # noqa: A002 - the option's name
        self._path = path
        self._format = format
        self._places = places
        self._drafts: dict[str, _Draft] = {}
        self._notes: Counter[str] = Counter()
        self._drained = self._captions = 0

    def add(
        self,
        id: str,  # noqa: A002 - the record's word for it
        image: str,
        captions: Sequence[Any] = (),
        *,
        where: object,
        group: str = "",
        error: str | None = None,
        image_sha256: str | None = None,
        extras: Mapping[str, Any] | None = None,
        found: Found | None = None,
    ) -> None:
        """Take a new record; ``found``: where its picture lies, where that need not be looked up.

        Raises:
            DataError: its id was there before.
        """
        if id in self._drafts:
            raise DataError(
                f"the id '{id}' is there twice", where=where, cure="Give every record an id of its own, or remove one."
            )
        draft = self._drafts[id] = _Draft(image, [], group or id, error, image_sha256, dict(extras or {}), found)
        for caption in captions:
            self._caption(draft, caption)

    def join(
        self,
        id: str,  # noqa: A002 - the record's word for it
        image: str,
        caption: Any,
        *,
        where: object,
        group: str = "",
        error: str | None = None,
        image_sha256: str | None = None,
        extras: Mapping[str, Any] | None = None,
        found: Found | None = None,
    ) -> None:
        """Take one more caption of a record, which is new or of the same image as before.

        Raises:
            DataError: the id came before with another image or other values.
        """
        draft = self._drafts.get(id)
        if draft is None:
            self.add(
                id,
                image,
                (caption,),
                where=where,
                group=group,
                error=error,
                image_sha256=image_sha256,
                extras=extras,
                found=found,
            )
            return
        if draft.image != image:
            raise DataError(
                f"the id '{id}' has two images: '{draft.image}' and '{image}'",
                where=where,
                cure="Give every image an id of its own.",
            )
        before, now = draft.extras | {"group": draft.group}, dict(extras or {}) | {"group": group or id}
        differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        # Row numbers and the like differ between the captions of one image: only what splits are made of must agree.
        for name in differing:
            if name in {"split", "is_member", "group"}:
                raise DataError(
                    f"the id '{id}' has two values of {name}: '{before.get(name)}' and '{now.get(name)}'",
                    where=where,
                    cure=f"Give all rows of one id the same {name}.",
                )
            draft.extras[name] = None
            self._notes[f"records whose rows differ in column {name} (taken as absent)"] += 1
        self._caption(draft, caption)

    def caption(self, id: str, caption: Any) -> None:  # noqa: A002 - the record's word for it
        """Add a caption to a record that is known."""
        self._caption(self._drafts[id], caption)

    def __contains__(self, id: str) -> bool:  # noqa: A002 - the record's word for it
        """Whether a record of this id was taken."""
        return id in self._drafts

    def note(self, what: str, count: int = 1) -> None:
        """Count something that a reader of the data must know."""
        self._notes[what] += count

    def drain(self) -> Iterator[Record]:
        """The records so far, which are then forgotten: a stream's way to stay small."""
        for id_, draft in self._drafts.items():
            self._drained += 1
            self._captions += len(draft.captions)
            yield self._record(id_, draft)
        self._drafts.clear()

    def check_drained(self, *, captioned: bool) -> None:
        """As ``finish``, where ``drain`` has given the records.

        Raises:
            DataError: as ``finish``.
        """
        self._check(self._drained, self._captions, captioned)

    @property
    def notes(self) -> Mapping[str, int]:
        """Counts of what was put right so far."""
        return self._notes

    def finish(self, *, captioned: bool) -> RecordSet:
        """All records, their pictures looked up.

        Args:
            captioned: the format holds captions, so that a file without any is an error.

        Raises:
            DataError: no record, or no caption in all of the file.
        """
        self._check(len(self._drafts), sum(len(draft.captions) for draft in self._drafts.values()), captioned)
        names = list(dict.fromkeys(name for draft in self._drafts.values() for name in draft.extras))
        records = tuple(self._record(id_, draft) for id_, draft in self._drafts.items())
        columns = {name: tuple(draft.extras.get(name) for draft in self._drafts.values()) for name in names}
        return RecordSet(records, columns, self._format, dict(self._notes))

    def _check(self, records: int, captions: int, captioned: bool) -> None:
        if not records:
            raise DataError("holds no records", where=self._path, cure="Give a file with at least one record.")
        if captioned and not captions:
            raise DataError(
                f"none of the {records} records has a caption",
                where=self._path,
                cure="Give captions, or the folder of images itself to go without.",
            )

    def _record(self, id_: str, draft: _Draft) -> Record:
        image, image_error = draft.found or self._places.find(draft.image)
        if not _clean(image):
            image = _cleaned(image)
            image_error = "image path is not valid Unicode"
        references = tuple(_cleaned(text) for text in draft.captions)
        error = draft.error or image_error
        return Record(id_, image, references, draft.group, error, draft.image_sha256)

    def _caption(self, draft: _Draft, caption: Any) -> None:
        if caption is None:
            self._notes["empty captions"] += 1
            return
        if not isinstance(caption, str):
            draft.error = draft.error or f"a caption is not text but {type(caption).__name__}"
            return
        text = caption.strip()
        if not text:
            self._notes["empty captions"] += 1
            return
        if not _clean(text):
            draft.error = draft.error or "a caption holds a NUL or a lone surrogate (half a character)"
        draft.captions.append(text)


def identifier(value: Any, *, where: object, what: str = "id") -> str:
    """A record's id as text: text or a whole number.

    Raises:
        DataError: it is empty, of another type, or holds control characters or half characters.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps comes as floating point
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = "nothing" if value is None else type(value).__name__
        raise DataError(f"the {what} must be text or a whole number, not {kind}", where=where, cure="Mend this record.")
    text = str(value).strip()
    if not text:
        raise DataError(f"the {what} is empty", where=where, cure="Give every record an id.")
    if not _clean(text) or any(character < " " or character == "\x7f" for character in text):
        raise DataError(
            f"the {what} {text!r} holds a control character or half a character", where=where, cure="Mend this id."
        )
    return text


def _clean(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _cleaned(text: str) -> str:
    if _clean(text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", REPLACEMENT)
