"""Every mistake of a user's: exit code 2, what and where and the cure, no traceback, nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import tomli_w
from filelock import FileLock

from m4i_fast.runs import LOCK
from tests.cli.conftest import Done, House, m4i, m4i_command

ROW = {"id": "1", "image": "1.png", "caption": "a cat"}


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(done: Done, *said: str) -> None:
    """The user is told all of ``said``, and in the way users are told things."""
    assert done.code == 2, (done.out, done.err)
    assert done.err.startswith("error: "), done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    for each in said:
        assert each in done.err, done.err


def test_missing_data(tmp_path: Path) -> None:
    refused(m4i("data", "inspect", tmp_path / "none.json"), "none.json")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "", ["a.json", "empty"]),
        ("a.jsonl", "", ["a.jsonl", "empty"]),
        ("a.csv", "", ["a.csv", "empty"]),
        ("a.json", '{"images": [\n  {"id": 1,, }]}', ["a.json:2:12"]),
        ("a.jsonl", '{"id": "1", "image": "1.png", "caption": "a"}\n{"id": "2"', ["a.jsonl:2:"]),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps(ROW | {"image": "2.png"}), ["'1'", "2.png"]),
        ("a.csv", "id,image,caption\n1,1.png,a\n1,2.png,b\n", ["'1'", "a.csv:3"]),
        ("a.csv", "id,caption\n1,a cat\n", ["image"]),
        ("a.parquet", "no parquet", ["a.parquet"]),
        ("a.token.txt", "no tab here\n", ["no tab here", "--format"]),
    ],
    ids=[
        "empty json",
        "empty jsonl",
        "empty csv",
        "bad json",
        "bad jsonl",
        "doubled",
        "doubled csv",
        "column",
        "parquet",
        "token",
    ],
)
def test_malformed_data(name: str, content: str, said: list[str], put: Callable[..., Path]) -> None:
    refused(m4i("data", "inspect", put(name, content)), *said)


def test_captions_whose_images_are_missing_are_counted(house: House, put: Callable[..., Path], tmp_path: Path) -> None:
    data = put("a.jsonl", json.dumps(ROW) + "\n")
    assert m4i("data", "inspect", data, "--json").json["missing_images"] == 1
    asked = m4i("query", data, "--engine", house.engines / "target.onnx", "--out", tmp_path / "run", "-q")
    refused(asked, "not one of 1 images can be read", "1.png", "--images")


def test_records_without_captions_can_be_asked_but_not_scored(house: House, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert m4i("query", house.root / "scenes/images", "--engine", house.engines / "target.onnx", "--out", run).code == 0
    assert m4i("overlap", run, "--json").json["scored"] == 0
    fitted = m4i("attack", "fit", run, "--membership", house.split / "shadow/membership.parquet")
    assert fitted.code == 2


def _labels(put: Callable[..., Path], house: House, label: Callable[[str], Any]) -> Path:
    from m4i_fast.tables import read_records

    ids = [record.id for record in read_records(house.split / "target/records.parquet")]
    return put("labels.csv", "id,is_member\n" + "".join(f"{each},{label(each)}\n" for each in ids))


@pytest.fixture(scope="module")
def scored(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that lacks nothing but the judgement. Tests that write into it take a copy."""
    run = tmp_path_factory.mktemp("scored") / "run"
    data, engine = house.split / "target/records.parquet", house.engines / "target.onnx"
    for step in (
        ("query", data, "--engine", engine, "--out", run),
        ("overlap", run),
        (
            "attack",
            "fit",
            run,
            "--membership",
            house.split / "target/membership.parquet",
            "--out",
            run.parent / "heads",
        ),
        ("attack", "score", run, "--heads", run.parent / "heads"),
    ):
        assert m4i(*step, "--json").code == 0
    return run


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (lambda _: 1, ["one class only: 80 members and 0 non-members", "labels.csv"]),
        (lambda _: 0, ["one class only: 0 members and 80 non-members", "labels.csv"]),
        (lambda each: "maybe" if each == "102" else 1, ["'maybe'", "labels.csv:"]),
        (lambda _: "", ["no label"]),
        (lambda _: "nan", ["nan"]),
    ],
    ids=["members only", "non-members only", "unknown word", "empty", "nan"],
)
def test_labels_that_cannot_judge(
    label: Callable[[str], Any], said: list[str], house: House, scored: Path, put: Callable[..., Path]
) -> None:
    refused(m4i("evaluate", scored, "--membership", _labels(put, house, label), "--quiet"), *said)
    assert not (scored / "result.json").exists()


def test_labels_of_other_records(scored: Path, put: Callable[..., Path]) -> None:
    labels = put("labels.csv", "id,is_member\nsomeone,1\nelse,0\n")
    refused(m4i("evaluate", scored, "--membership", labels), "80 of 80 records have no label", "labels.csv")


def test_labels_given_twice(scored: Path, put: Callable[..., Path]) -> None:
    refused(m4i("evaluate", scored, "--membership", put("labels.csv", "id,is_member\n1,1\n1,0\n")), "'1'", "twice")


def test_stages_out_of_order_name_the_one_to_run_first(house: House, scored: Path, tmp_path: Path) -> None:
    refused(m4i("overlap", tmp_path / "none"), "no such run folder", "m4i-fast query")
    refused(m4i("report", scored), "result.json", "m4i-fast evaluate")
    refused(m4i("encode", scored, "--encoders", tmp_path), "image.onnx", "m4i-fast train encoders")
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(m4i("overlap", empty), "records.parquet", "m4i-fast query")
    refused(m4i("attack", "score", scored, "--heads", empty), "no heads", "m4i-fast attack fit")
    refused(m4i("evaluate", empty, "--membership", house.split / "target/membership.parquet"), "m4i-fast query")


def _stripped(engine: Path, to: Path) -> Path:
    model = onnx.load(engine)
    del model.metadata_props[:]
    onnx.save(model, to)
    return to


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("none.onnx", ["none.onnx"]),
        ("empty.onnx", ["empty.onnx", "empty"]),
        ("garbage.onnx", ["garbage.onnx"]),
        ("stripped.onnx", ["metadata", "m4i-fast export"]),
        ("encoders/image.onnx", ["wrong kind: image encoder", "captioner"]),
        ("captioner.plan", [".plan"]),
        ("http://127.0.0.1:9/v1", ["127.0.0.1"]),
        ("", []),
    ],
)
def test_engines_that_cannot_caption(engine: str, said: list[str], house: House, tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "garbage.onnx").write_bytes(b"\x08\x0c" + os.urandom(500))
    (tmp_path / "captioner.plan").write_bytes(b"ptrt" + os.urandom(64))
    _stripped(house.engines / "target.onnx", tmp_path / "stripped.onnx")
    path = house.engines / engine if engine.startswith("encoders") else tmp_path / engine
    given = engine if "://" in engine or not engine else path
    done = m4i("query", house.data, "--engine", given, "--out", tmp_path / "run", "--quiet")
    refused(done, *said)
    assert not (tmp_path / "run").exists()


def test_a_captioner_where_an_encoder_belongs(house: House, scored: Path, tmp_path: Path) -> None:
    for name in ("image.onnx", "text.onnx"):
        shutil.copy(house.engines / "target.onnx", tmp_path / name)
    refused(m4i("encode", scored, "--encoders", tmp_path, "--quiet"), "captioner", "image.onnx")
    assert not list(scored.glob("embeddings/*.parquet"))


DEPLOYED = ("--endpoint", "http://127.0.0.1:9", "--protocol", "hf")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--engine", "x.onnx", "--max-queries", "5"), "--max-queries does nothing with --engine"),
        (("--engine", "x.onnx", "--prompt", "hi"), "--prompt does nothing with --engine"),
        (
            ("--endpoint", "http://127.0.0.1:9", "--protocol", "hf", "--workers", "2"),
            "--workers does nothing with --en",
        ),
        (
            ("--endpoint", "http://127.0.0.1:9", "--protocol", "hf", "--batch", "8"),
            "--batch does nothing with --endpoint",
        ),
    ],
)
def test_an_option_of_the_other_kind_of_captioner(
    given: tuple[str, ...], said: str, house: House, tmp_path: Path
) -> None:
    done = m4i("query", house.data, *given, "--out", tmp_path / "run")
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there(provider: str, house: House, tmp_path: Path) -> None:
    import onnxruntime

    if f"{provider}executionprovider" in {each.lower() for each in onnxruntime.get_available_providers()}:
        pytest.skip("this build of ONNX Runtime has the provider")
    engine = house.engines / "target.onnx"
    done = m4i("query", house.data, "--engine", engine, "--out", tmp_path / "run", "--provider", provider)
    refused(done, provider, "m4i-fast doctor")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("absent", "command", "line"),
    [
        ("torch", ["train", "captioner", "DATA", "--out", "OUT"], "'.[train]'"),
        ("torch", ["demo", "--out", "OUT"], "'.[train]'"),
        ("onnxscript", ["export", "MODEL", "--out", "OUT.onnx"], "'.[train]'"),
        ("onnxruntime", ["query", "DATA", "--engine", "ENGINE", "--out", "OUT"], "'.[cpu]'"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_extra_that_is_not_installed(
    absent: str, command: list[str], line: str, house: House, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m, importlib.util as u, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {absent!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "def version(name, real=m.version):\n"
        f"    if name.startswith({absent!r}): raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
        "def find_spec(name, package=None, real=u.find_spec):\n"
        f"    return None if name == {absent!r} else real(name, package)\n"
        "u.find_spec = find_spec\n"
    )
    names = {"DATA": house.data, "MODEL": house.models / "target", "ENGINE": house.engines / "target.onnx"}
    names |= {"OUT": tmp_path / "out", "OUT.onnx": tmp_path / "out.onnx"}
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        m4i_command(*(names.get(each, each) for each in command)),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    refused(Done(done.returncode, done.stdout, done.stderr), "pip install", line)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.onnx").exists()


def test_an_output_folder_in_use(house: House, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                f"import filelock, sys\nwith filelock.FileLock({str(run / LOCK)!r}):\n"
                "    print('held', flush=True)\n    sys.stdin.read()"
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = m4i("query", house.data, "--engine", house.engines / "target.onnx", "--out", run)
        assert holder.stdin is not None
        holder.stdin.close()
    refused(done, "another process", str(run))
    assert not (run / "records.parquet").exists()
    with FileLock(run / LOCK, timeout=5):
        pass


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_output_folder_of_another_run(house: House, scored: Path) -> None:
    data, engine = house.split / "shadow/records.parquet", house.engines / "target.onnx"
    before = _contents(scored)
    refused(m4i("query", data, "--engine", engine, "--out", scored, "--quiet"), "other records", "--out", "--again")
    other = house.engines / "shadow.onnx"
    refused(
        m4i("query", house.split / "target/records.parquet", "--engine", other, "--out", scored, "--quiet"),
        "m4i-fast query ... --again",
    )
    # Replacing was asked for, but by an engine that cannot caption.
    wrong = house.engines / "encoders/image.onnx"
    refused(m4i("query", data, "--engine", wrong, "--out", scored, "--again", "--quiet"), "wrong kind")
    assert _contents(scored) == before


def test_an_output_that_is_a_file(house: House, put: Callable[..., Path]) -> None:
    taken = put("taken", "mine")
    refused(m4i("query", house.data, "--engine", house.engines / "target.onnx", "--out", taken), "file", "--out")
    assert taken.read_text() == "mine"


def test_heads_of_other_features(house: House, scored: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(scored, run)
    assert m4i("overlap", run, "--recipe", "rouge-score", "--quiet").code == 0
    before = (run / "scores.parquet").read_bytes()
    refused(m4i("attack", "score", run, "--heads", scored.parent / "heads"), "recipe", "rouge-score")
    assert (run / "scores.parquet").read_bytes() == before


AUDIT = {"out": "run", "target": {"engine": "none.onnx", "data": {"path": "a.jsonl"}, "membership": "labels.csv"}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("out = 'run'\n[target\n", ["audit.toml:2:"]),
        (tomli_w.dumps(AUDIT | {"tagret": {}}), ["tagret", "did you mean 'target'"]),
        (tomli_w.dumps(AUDIT | {"query": {"threads": "many"}}), ["query.threads", "int"]),
        (tomli_w.dumps(AUDIT | {"query": {"batch": "many"}}), ["query.batch", "'many'"]),
        (tomli_w.dumps(AUDIT | {"query": {"batch": 0}}), ["query.batch", ">= 1"]),
        (tomli_w.dumps({"target": {}}), ["out"]),
        (tomli_w.dumps({"out": "run"}), ["target", "engine"]),
        (tomli_w.dumps(AUDIT | {"attack": {"heads": "none"}}), ["none"]),
        (tomli_w.dumps(AUDIT | {"attack": {"names": ["guess"], "heads": "."}}), ["guess", "mb_svm"]),
        (tomli_w.dumps(AUDIT | {"attack": {"heads": "."}, "overlap": {"recipe": "meteor"}}), ["meteor", "coco"]),
    ],
    ids=["toml", "unknown key", "type", "word", "range", "no out", "no target", "no heads", "no attack", "no recipe"],
)
def test_settings_that_cannot_be(content: str, said: list[str], put: Callable[..., Path], tmp_path: Path) -> None:
    refused(m4i("audit", put("audit.toml", content)), *said)
    assert not (tmp_path / "run").exists()


def test_a_setting_that_is_no_assignment(put: Callable[..., Path]) -> None:
    refused(m4i("audit", put("audit.toml", tomli_w.dumps(AUDIT)), "--set", "query.batch"), "KEY=VALUE")


def test_a_checkpoint_that_is_none(tmp_path: Path) -> None:
    refused(m4i("export", tmp_path, "--out", tmp_path / "a.onnx"), "no checkpoint", "m4i-fast train captioner")
    assert not (tmp_path / "a.onnx").exists()


def test_ids_to_train_on_that_nobody_knows(house: House, put: Callable[..., Path], tmp_path: Path) -> None:
    only = put("ids.txt", "0\nnobody\n")
    done = m4i("train", "captioner", house.data, "--only", only, "--out", tmp_path / "model", "--backbone", "small-cnn")
    refused(done, "'nobody'", "ids.txt")
    assert not (tmp_path / "model").exists()


def test_more_records_wanted_than_there_are(house: House, tmp_path: Path) -> None:
    out = tmp_path / "split"
    done = m4i("data", "split", house.data, "--out", out, "--target-member", 200, "--target-nonmember", 200, "-q")
    refused(done, "400", "230")
    assert not (out / "split.json").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("data", "inspect", "PATH"),
        ("audit", "PATH"),
        ("report", "PATH"),
        ("overlap", "PATH"),
        ("query", "PATH", "--engine", "ENGINE", "--out", "RUN"),
        ("query", "DATA", "--engine", "ENGINE", "--out", "PATH"),
        ("query", "DATA", "--engine", "PATH.onnx", "--out", "RUN"),
    ],
    ids=["inspect", "audit", "report", "overlap", "query data", "query out", "query engine"],
)
def test_a_name_that_no_file_can_have(command: tuple[str, ...], house: House, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    given = {
        "PATH": path,
        "PATH.onnx": path.with_suffix(".onnx"),
        "ENGINE": house.engines / "target.onnx",
        "DATA": house.data,
        "RUN": tmp_path / "run",
    }
    refused(m4i(*(given.get(each, each) for each in command)), path.name)


@pytest.mark.parametrize("kind", ["absent", "loop", "fifo", "folder"])
def test_labels_of_the_shadow_that_cannot_be_read(kind: str, house: House, tmp_path: Path) -> None:
    run, labels = tmp_path / "run", tmp_path / "labels.csv"
    records = house.split / "shadow/records.parquet"
    assert m4i("query", records, "--engine", house.engines / "shadow.onnx", "--out", run, "--quiet").code == 0
    assert m4i("overlap", run, "--quiet").code == 0
    if kind == "loop":
        labels.symlink_to(labels)
    elif kind == "fifo":
        os.mkfifo(labels)
    elif kind == "folder":
        labels.mkdir()
    refused(m4i("attack", "fit", run, "--membership", labels), "labels.csv")
    assert not (run / "heads").exists()


def test_heads_that_were_fitted_on_the_target_itself_make_the_audit_invalid(
    house: House, scored: Path, tmp_path: Path
) -> None:
    """The obvious short cut: there is no shadow, so the attacks are fitted where the labels are."""
    run = tmp_path / "run"
    shutil.copytree(scored, run)
    done = m4i("evaluate", run, "--membership", house.split / "target/membership.parquet", "--json", "--quiet")
    assert done.json["verdict"]["kind"] == "invalid"
    assert "fitted on records of this very run" in done.json["verdict"]["reasons"][0]
