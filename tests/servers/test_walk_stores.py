"""``m4i-fast query`` with pictures and records in an object store: what it says of the same files on the disk."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import m4i
from tests.servers.conftest import Store
from tests.servers.walking import answers, shown, words

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def shelf(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures in each form: ``photos/``, ``captions.json``, two tars, a Parquet file."""
    root = tmp_path_factory.mktemp("shelf")
    (root / "photos").mkdir()
    rows = []
    for picture in pictures:
        (root / "photos" / picture.name).write_bytes(picture.read_bytes())
        rows.append({"image": {"bytes": picture.read_bytes(), "path": picture.name}, "text": [f"No. {picture.stem}."]})
    (root / "photos/03.jpg").write_bytes(pictures[3].read_bytes()[:100])
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet", row_group_size=5)
    for half in (0, 1):
        with tarfile.open(root / f"{half:03d}.tar", "w") as tar:
            for picture in pictures[6 * half : 6 * half + 6]:
                for name, content in ((picture.name, picture.read_bytes()), (f"{picture.stem}.txt", b"A scene.")):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    coco = {
        "images": [{"id": row, "file_name": file.name} for row, file in enumerate([*pictures, Path("none.jpg")])],
        "annotations": [{"id": row, "image_id": row, "caption": "A scene."} for row in range(13)],
    }
    (root / "captions.json").write_text(json.dumps(coco))
    return root


@pytest.fixture(scope="module")
def shelved(shelf: Path, s3_server: Store) -> Store:
    s3_server.put("shelf")
    for file in sorted(shelf.rglob("*")):
        if file.is_file():
            s3_server.put(f"shelf/{file.relative_to(shelf)}", file.read_bytes())
    return s3_server


@pytest.mark.parametrize(("line", "errors"), [*zip(shown("s3"), (1, 0, 0, 2), strict=True)])
def test_the_answers_of_each_command_of_the_page_are_those_of_local_files(
    line: str,
    errors: int,
    shelf: Path,
    engine: Path,
    shelved: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("s3fs", reason="needs the extra cloud")
    for name, value in shelved.environment.items():
        monkeypatch.setenv(name, value)
    said = []
    for folder, command in (("far", line), ("near", line.replace("s3://shelf", str(shelf)))):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        Path("captioner.onnx").symlink_to(engine)
        asked = words(command, shelved.server)
        assert m4i(*asked).json["errors"] == errors
        said.append(answers(Path(asked[asked.index("--out") + 1])))
    stored, local = said
    assert stored == local
    assert len({text for _, text, reason in local if reason is None}) >= 6
