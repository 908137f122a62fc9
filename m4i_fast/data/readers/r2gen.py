"""R2Gen's ``annotation.json``: X-ray studies, ``{"train": [{"id", "report", "image_path": []}], "val", "test"}``."""

from __future__ import annotations

from typing import Any

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["SPLITS", "read_r2gen"]

SPLITS = ("train", "val", "test")
CURE = "Give R2Gen's annotation.json."


def read_r2gen(path: Source, images: Source | None) -> RecordSet:
    """One record an image, ``id`` = ``study#k`` with k from 0, the study's report its reference, the study its group.

    Column ``split`` holds train, val or test.

    Raises:
        DataError: not of this form, or a study twice.
    """
    content = read_json_text(read_text(path), path=path)
    if not isinstance(content, dict) or not any(split in content for split in SPLITS):
        raise DataError("no list 'train', 'val' or 'test' at the top level", where=path, cure=CURE)
    gathering = Gathering(path, "r2gen", Places(path.parent, images))
    for split in SPLITS:
        studies = content.get(split, [])
        if not isinstance(studies, list):
            raise DataError(f"'{split}' is not a list", where=path, cure=CURE)
        for index, study in enumerate(studies):
            _add(gathering, study, split, f"{path}: {split}[{index}]")
    return gathering.finish(captioned=True)


def _add(gathering: Gathering, study: Any, split: str, where: str) -> None:
    if not isinstance(study, dict):
        raise DataError(f"an object is wanted, not {type(study).__name__}", where=where, cure=CURE)
    id_ = identifier(study.get("id"), where=where)
    paths = study.get("image_path")
    if isinstance(paths, str):
        paths = [paths]
    if not isinstance(paths, list) or not paths or not all(isinstance(each, str) for each in paths):
        raise DataError(f"study {id_} has no list of image paths", where=where, cure=CURE)
    # In MIMIC-CXR's file an entry is one image of a study, and study_id says of which.
    group = identifier(study["study_id"], where=where, what="study_id") if "study_id" in study else id_
    for number, name in enumerate(paths):
        gathering.add(
            f"{id_}#{number}", name, (study.get("report"),), where=where, group=group, extras={"split": split}
        )
