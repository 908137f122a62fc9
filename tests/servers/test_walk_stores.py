"""``m4i-fast query`` with pictures and records in a store says what it says of the same files on the disk."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.asking import ask, ask_json
from tests.servers.conftest import Store
from tests.servers.environments import running
from tests.servers.hub import NAME, serving_hub
from tests.servers.walking import answers, shown

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
def s3(shelf: Path, s3_server: Store) -> Mapping[str, str]:
    s3_server.put("shelf")
    for file in _files(shelf):
        s3_server.put(f"shelf/{file.relative_to(shelf)}", file.read_bytes())
    return s3_server.environment


@pytest.fixture(scope="module")
def gs(shelf: Path, environments: Path) -> Iterator[Mapping[str, str]]:
    with running("gcs", environments) as server:
        ask_json(f"{server.url}/storage/v1/b", {"name": "shelf"})
        for file in _files(shelf):
            name = quote(str(file.relative_to(shelf)), safe="")
            ask(f"{server.url}/upload/storage/v1/b/shelf/o?uploadType=media&name={name}", file.read_bytes())
        yield {"STORAGE_EMULATOR_HOST": server.url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


@pytest.fixture(scope="module")
def hf(shelf: Path) -> Iterator[Mapping[str, str]]:
    with serving_hub(shelf) as url:
        yield {"HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1"}


def _files(shelf: Path) -> list[Path]:
    return [each for each in sorted(shelf.rglob("*")) if each.is_file()]


@pytest.mark.parametrize(("line", "errors"), [*zip(shown("stores"), (1, 0, 0, 2), strict=True)])
@pytest.mark.parametrize(
    ("store", "package", "there"),
    [("s3", "s3fs", "s3://shelf"), ("gs", "gcsfs", "gs://shelf"), ("hf", "huggingface_hub", f"hf://datasets/{NAME}")],
)
def test_the_answers_of_each_command_of_the_page_are_those_of_local_files(
    store: str,
    package: str,
    there: str,
    line: str,
    errors: int,
    shelf: Path,
    engine: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    pytest.importorskip(package, reason="needs the extra cloud")
    settings: Mapping[str, str] = request.getfixturevalue(store)
    said = []
    for folder, place in (("far", there), ("near", str(shelf))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "captioner.onnx").symlink_to(engine)
        _, *asked = shlex.split(line.replace("s3://shelf", place))
        # A process of its own: the stores' clients look at the environment once.
        done = subprocess.run(
            [sys.executable, "-m", "m4i_fast", *asked, "--json"],
            check=False,
            cwd=tmp_path / folder,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["errors"] == errors
        said.append(answers(tmp_path / folder / asked[asked.index("--out") + 1]))
    stored, local = said
    assert stored == local
    assert len({text for _, text, reason in local if reason is None}) >= 6
