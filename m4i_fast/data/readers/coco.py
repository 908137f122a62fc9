"""COCO captions: ``{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}``."""

from __future__ import annotations

from typing import Any

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["read_coco"]

CURE = "Give a COCO captions file, such as captions_val2017.json."


def read_coco(path: Source, images: Source | None) -> RecordSet:
    """One record an image, ``id`` = the image's id, references in the file's order; column ``split`` where it is given.

    Raises:
        DataError: not of this form, an image id twice, or captions of images that are not listed.
    """
    content = read_json_text(read_text(path), path=path)
    if not isinstance(content, dict):
        raise DataError("the top level is not an object", where=path, cure=CURE)
    gathering = Gathering(path, "coco", Places(path.parent, images))
    for index, image in enumerate(_list_of(content, "images", path)):
        where = f"{path}: images[{index}]"
        entry = _object(image, where)
        id_ = identifier(entry.get("id"), where=where)
        name = entry.get("file_name")
        if not isinstance(name, str):
            raise DataError(f"image {id_} has no file_name", where=where, cure=CURE)
        extras: dict[str, Any] = {key: entry[key] for key in ("split", "is_member") if key in entry}
        group = identifier(entry["group"], where=where, what="group") if entry.get("group") is not None else ""
        gathering.add(id_, name, where=where, extras=extras, group=group)
    unknown: dict[str, str] = {}
    for index, annotation in enumerate(_list_of(content, "annotations", path)):
        where = f"{path}: annotations[{index}]"
        entry = _object(annotation, where)
        id_ = identifier(entry.get("image_id"), where=where, what="image_id")
        if "caption" not in entry:
            raise DataError("the annotation has no caption (is this an instances file?)", where=where, cure=CURE)
        if id_ in gathering:
            gathering.caption(id_, entry["caption"])
        else:
            unknown.setdefault(id_, where)
    if unknown:
        first = next(iter(unknown))
        raise DataError(
            f"captions of {len(unknown)} images that are not listed under images, the first of image {first}",
            where=unknown[first],
            cure="Add these images, or remove their captions.",
        )
    return gathering.finish(captioned=True)


def _list_of(content: dict[str, Any], key: str, path: Source) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise DataError(f"no list '{key}' at the top level", where=path, cure=CURE)
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"an object is wanted, not {type(value).__name__}", where=where, cure=CURE)
    return value
