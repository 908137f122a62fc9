"""WebDataset tars: members that share a name up to its first full stop are one sample: ``a/7.jpg``, ``a/7.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from m4i_fast.data.files import read_json_text
from m4i_fast.data.locators import Member, format_locator
from m4i_fast.data.readers.columns import Row
from m4i_fast.data.readers.folder import SUFFIXES
from m4i_fast.data.readers.places import Found, located
from m4i_fast.data.readers.tar_members import SIDECAR, TarMember, tar_members
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["webdataset_rows"]

TEXTS = (".txt", ".caption", ".json")
"""Members that hold captions, in the order in which they become references."""


@dataclass(slots=True)
class _Sample:
    images: list[TarMember] = field(default_factory=list)
    captions: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def webdataset_rows(path: Source) -> Iterator[Row]:
    """One row a sample, in the tar's order; ``id`` = the key, references = the lines of ``.txt`` and ``.caption`` and
    what ``.json`` has under ``caption`` or ``captions``, the same text once.

    A sample that cannot be used (no image or two, a link, a name with ``..``, a sidecar that is no text) is a row with
    its reason. Hidden members, folders and files of other endings are left aside.

    Raises:
        DataError: as ``tar_members``, after the samples that are whole.
    """
    container = located(path)
    members = (each for each in tar_members(path, contents=TEXTS) if each.kind != "folder" and not _hidden(each.name))
    for key, together in groupby(members, key=lambda member: _parted(member.name)[0]):
        sample = _Sample()
        for member in together:
            _add(sample, member)
        if sample.images or sample.captions or sample.error:
            yield _row(path, container, key, sample)


def _row(path: Source, container: str, key: str, sample: _Sample) -> Row:
    image = sample.images[0] if sample.images else None
    error = sample.error
    readable = key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if readable != key:
        error = "the member's name is not UTF-8"
    if any(sign < " " or sign == "\x7f" for sign in readable):
        readable, error = ascii(readable)[1:-1], "the member's name holds a control character"
    if key.startswith("/") or ".." in key.split("/"):
        error = "the member's name leads out of the archive"
    if image is None:
        error = error or "the sample holds no image"
    elif len(sample.images) > 1:
        same = len({member.name for member in sample.images}) == 1
        error = error or ("the tar holds this image twice" if same else "the sample holds two images")
    elif not image.size:
        error = error or "image file is empty"
    values = sample.values | {"id": readable.strip() or ascii(key), "error": error}
    captions = [each for ending in TEXTS for each in sample.captions.get(ending, ())]
    if captions:
        values["captions"] = list({repr(each): each for each in captions}.values())
    name = image.name if image else key
    place = (image.offset, image.size) if image else (0, 0)
    return Row(f"{path}: {readable}", values, Found(format_locator(Member(container, name, *place)), None))


def _add(sample: _Sample, member: TarMember) -> None:
    ending = "." + _parted(member.name)[1]
    if ending in SUFFIXES:
        sample.images.append(member)
        if member.kind != "file":
            sample.error = sample.error or f"the image is a {member.kind}, not a file"
    elif ending in TEXTS:
        if ending in sample.captions:
            sample.error = sample.error or f"the tar holds this sample's {ending} twice"
            return
        sample.captions[ending] = []
        try:
            sample.captions[ending] = _captions(ending, member, sample)
        except DataError as error:
            sample.error = sample.error or f"its {ending} cannot be read: {error.what}"


def _captions(ending: str, member: TarMember, sample: _Sample) -> list[Any]:
    if member.content is None:
        what = f"longer than {SIDECAR >> 20} MiB" if member.kind == "file" else f"a {member.kind}, not a file"
        raise DataError(what)
    try:
        text = member.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte 0x{member.content[error.start]:02x})") from error
    if ending != ".json":
        return [line for line in text.splitlines() if line.strip()]
    content = read_json_text(text, path=member.name)
    if not isinstance(content, dict):
        return []
    if isinstance(content.get("group"), str | int):
        sample.values["group"] = content["group"]
    found: Any = next((content[name] for name in ("captions", "references", "caption") if content.get(name)), [])
    return found if isinstance(found, list) else [found]


def _parted(name: str) -> tuple[str, str]:
    """Key and ending (lower case): parted at the first full stop of the last name, as WebDataset does."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    key, _, ending = last.partition(".")
    return folder + slash + key, ending.lower()


def _hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")
