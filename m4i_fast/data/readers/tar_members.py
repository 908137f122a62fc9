"""A tar's members one after the other, in bounded memory, whoever made it; nothing is ever unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from m4i_fast.data.stores import Source, reading
from m4i_fast.errors import DataError

__all__ = ["TarMember", "tar_members"]

BLOCK = 512
LONGEST_HEADER = 1 << 20  # bytes of a long name or a pax header
SIDECAR = 1 << 20
CURE = "Fetch or make it again."

# What a header may be followed by: its own kind of file, or facts about the next one.
_FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_KINDS = {
    tarfile.LNKTYPE: "link",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "FIFO",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}


class TarMember(NamedTuple):
    """One member.

    ``name``: as written, bytes that are not UTF-8 as surrogates. ``kind``: "file", "folder", "link", "device", "FIFO",
    "sparse file" or "thing of an unknown kind". ``offset``: byte at which its content begins. ``content``: of a file
    that was asked for and is at most 1 MiB; else None.
    """

    name: str
    kind: str
    offset: int
    size: int
    content: bytes | None


def tar_members(path: Source, *, contents: tuple[str, ...] = ()) -> Iterator[TarMember]:
    """All members of an uncompressed tar, in order, whole ones only.

    Headers are read by ``tarfile.TarInfo``; the way through the file is here, since that of ``tarfile`` keeps all
    members, reads headers of any length into memory, and takes damage for the archive's end.

    Args:
        path: the tar.
        contents: endings (lower case) of the names whose content is wanted.

    Raises:
        DataError: no tar, compressed, damaged (says at which byte) or cut off: after the members that are whole.
    """
    with reading(path) as file:
        here = 0
        long_name: str | None = None
        long_size: int | None = None
        while True:
            header = file.read(BLOCK)
            if header[:2] in {b"\x1f\x8b", b"BZ"} or header[:4] in {b"\xfd7zX", b"\x28\xb5\x2f\xfd"}:
                raise DataError(
                    "a compressed tar: a picture in it cannot be read by itself", where=path, cure="Unpack it to .tar."
                )
            if not header:
                raise _cut_off(path, here)
            try:
                info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                if len(header) == BLOCK and not any(header):
                    return  # the mark of the end
                if len(header) < BLOCK:
                    raise _cut_off(path, here) from error
                raise DataError(f"no tar, or damaged at byte {here}", where=path, cure=CURE) from error
            size = long_size if long_size is not None and info.type in _FILES else info.size
            if size < 0:
                raise DataError(f"damaged at byte {here}: a member of negative size", where=path, cure=CURE)
            offset = here + BLOCK
            # Links and folders have no content, whatever size they claim.
            length = 0 if info.type in _KINDS and info.type != tarfile.GNUTYPE_SPARSE else size
            here = offset + -(-length // BLOCK) * BLOCK
            if info.type in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
                             tarfile.SOLARIS_XHDTYPE}:  # fmt: skip
                if length > LONGEST_HEADER:
                    raise DataError(f"a header of {length} bytes at byte {offset - BLOCK}", where=path, cure=CURE)
                content = _read(file, length, here - offset, path, offset)
                if info.type == tarfile.GNUTYPE_LONGNAME:
                    long_name = content.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
                elif info.type in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
                    long_name, long_size = _pax(content, long_name, long_size)
                continue
            name = info.name if long_name is None else long_name
            kind = "file" if info.type in _FILES else _KINDS.get(info.type, "thing of an unknown kind")
            if info.isdir() or (kind == "file" and name.endswith("/")):
                kind = "folder"
            wanted = kind == "file" and length <= SIDECAR and name.lower().endswith(contents) if contents else False
            content_ = _read(file, length, here - offset, path, offset) if wanted else None
            if content_ is None:
                _skip(file, offset, length, here, path)
            yield TarMember(name, kind, offset, size, content_)
            long_name = long_size = None


def _read(file: BinaryIO, length: int, padded: int, path: Source, offset: int) -> bytes:
    content = file.read(padded)
    if len(content) < length:
        raise _cut_off(path, offset)
    return content[:length]


def _skip(file: BinaryIO, offset: int, length: int, to: int, path: Source) -> None:
    """Go past a content, and see that its last byte is there."""
    if length:
        file.seek(offset + length - 1)
        if not file.read(1):
            raise _cut_off(path, offset)
    file.seek(to)


def _cut_off(path: Source, here: int) -> DataError:
    return DataError(f"the tar is cut off at byte {here}: it has no end mark", where=path, cure=CURE)


def _pax(content: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Path and size of a pax header: records ``LENGTH KEY=VALUE`` and a line feed; a broken one ends it."""
    here = 0
    while here < len(content):
        digits, blank, _ = content[here : here + 24].partition(b" ")
        if not blank or not digits.isdigit() or int(digits) <= len(digits) + 1:
            break
        key, _, value = content[here + len(digits) + 1 : here + int(digits) - 1].partition(b"=")
        here += int(digits)
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size" and value.isdigit() and len(value) < 19:
            size = int(value)
    return name, size
