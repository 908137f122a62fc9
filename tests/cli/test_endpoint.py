"""``m4i-fast query --endpoint`` and ``[target.endpoint]`` as their users meet them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from caption_endpoint import Served, caption_endpoint, caption_of, generations, parts
from endpoint_questions import said
from hostile_endpoint import Answer, Asked

from m4i_fast.types import Record
from tests.cli.conftest import House, m4i, m4i_command

Records = Callable[..., list[Record]]
KEY = "sk-of-the-tests-0123456789"


@pytest.fixture
def folder(picture_records: Records) -> Path:
    """A folder of 30 pictures, two of which cannot be read."""
    return Path(picture_records(list(range(30)), broken=(2, 5))[0].image).parent


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TESTS_KEY", KEY)


def _query(folder: Path, served: Served, out: Path, *more: object) -> tuple[object, ...]:
    kind = served.captions.protocol
    about = ("--endpoint", served.url, "--protocol", kind, "--private", "--out", out)
    return ("query", folder, *about, "--key-env", "TESTS_KEY", *(() if kind == "hf" else ("--model", "tiny")), *more)


def test_a_run_says_what_it_did_and_cost(folder: Path, tmp_path: Path) -> None:
    with caption_endpoint("openai") as served:
        told = m4i(*_query(folder, served, tmp_path / "run", "--price-query", "0.5", "--json")).json
        assert (told["rows"], told["errors"], told["requests"], told["cached"], told["kept"]) == (30, 2, 28, 0, 0)
        assert told["queries"] == len(served.queries) == 28 + 9
        assert (told["cost"], told["prompt_tokens"], told["completion_tokens"]) == (18.5, 370, 148)
        assert told["provider"] == "openai: tiny"
        assert {"read_s", "infer_s", "write_s", "wait_s", "held_s"} <= told.keys()
        again = m4i(*_query(folder, served, tmp_path / "run", "--json")).json
        assert (again["already_done"], again["asked"], again["kept"], again["requests"]) == (True, 0, 30, 0)
        assert len(served.queries) == told["queries"]
        done = m4i(*_query(folder, served, tmp_path / "again"))
        assert len(served.questions) == 28, "the cache is on unless it is said otherwise"
        assert {each.content for each in served.queries} <= {path.read_bytes() for path in folder.iterdir()}
    assert done.code == 0
    assert "cached" in done.out
    assert "read_s" not in done.out
    assert "next: m4i-fast overlap" in done.out
    assert list((tmp_path / "cache/m4i-fast").iterdir())
    assert {each.headers["authorization"] for each in served.http.log} == {f"Bearer {KEY}"}


def test_a_local_query_says_nothing_of_endpoints(house: House, tmp_path: Path) -> None:
    about = ("query", house.split / "target/records.parquet", "--engine", house.engines / "target.onnx")
    told = m4i(*about, "--out", tmp_path / "run", "--json").json
    assert {"requests", "faults", "cached", "cost", "prompt_tokens", "spent"}.isdisjoint(told)
    done = m4i(*about, "--out", tmp_path / "run", "--again")
    assert "the model" in " ".join(done.out.split())
    assert "infer_s" not in done.out


def test_a_dry_run_sends_nothing_and_says_what_it_would(folder: Path, tmp_path: Path) -> None:
    with caption_endpoint("openai") as served:
        more = ("--dry-run", "--qps", "2", "--max-queries", "99", "--price-query", "0.5", "--augment", "flip,blur")
        told = m4i(*_query(folder, served, tmp_path / "run", *more, "--json")).json
        shown = m4i(*_query(folder, served, tmp_path / "run", *more))
    assert served.http.log == []
    assert not (tmp_path / "run").exists()
    assert (told["records"], told["images_found"], told["queries"], told["canary_queries"]) == (30, 30, 90, 9)
    assert told["bytes"] == 3 * sum(path.stat().st_size for path in folder.iterdir())
    assert told["seconds_at_least"] == 49.5
    assert told["cost_at_most_without_prompts"] == 49.5
    assert told["completion_tokens_at_most"] == 99 * 64
    assert (told["to"], told["allowed_queries"]) == (served.url, 99)
    assert shown.code == 0
    assert "49.5" in shown.out


def test_a_dry_run_of_an_engine(house: House, tmp_path: Path) -> None:
    about = ("query", house.data, "--engine", house.engines / "target.onnx", "--out", tmp_path / "run", "--dry-run")
    assert m4i(*about, "--json").json["queries"] == 230
    assert not (tmp_path / "run").exists()


E = ("--endpoint", "https://models.example/v1")
O = ("--protocol", "openai")  # noqa: E741 - beside E


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), ["no model is named", "--engine FILE", "--endpoint URL"]),
        (("--engine", "a.onnx", *E, *O), ["two models are named"]),
        (E, ["--protocol", "openai, kserve, kserve-grpc, hf"]),
        ((*E, "--protocol", "smtp"), ["--protocol", "smtp"]),
        ((*E, *O, "--qps", "-1"), ["--qps"]),
        ((*E, *O, "--concurrency", "0"), ["--concurrency"]),
        ((*E, *O, "--top-p", "0"), ["top_p"]),
        ((*E, *O, "--option", "broken"), ["--option broken", "KEY=JSON"]),
        ((*E, *O, "--option", "temperature=0.9"), ["'temperature' has an option of its own", "--temperature"]),
        ((*E, *O, "--max-cost", "5"), ["max_cost", "nothing has a price"]),
        ((*E, *O, "--samples", "2"), ["2 samples", "--temperature"]),
        ((*E, *O, "--augment", "melt"), ["melt", "crop"]),
        ((*E, *O, "--batch", "64"), ["--batch does nothing with --endpoint"]),
        (("--engine", "x.onnx", "--batch", "many"), ["--batch", "auto"]),
        ((*E, *O, "--key-env", "NOT_SET_ANYWHERE"), ["NOT_SET_ANYWHERE", "read -rs"]),
        ((*E, *O, "--key-env", "sk-typed-here"), ["not the key"]),
        ((*E, *O, "--key-file", "none"), ["no file with a key"]),
        ((*E, *O, "--key-file", "a", "--key-env", "B"), ["two keys are named"]),
        (("--endpoint", "https://me:pw@models.example", *O), ["credentials"]),
        (("--endpoint", "ftp://models.example", *O), ["https://host/path"]),
        (("--endpoint", "http://127.0.0.1:9", *O), ["private address", "--private"]),
        (("--endpoint", "http://127.0.0.1:9", "--protocol", "hf", "--prompt", "what?", "--private"), ["no prompt"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_told_with_its_cure(
    options: tuple[str, ...], told: list[str], folder: Path, tmp_path: Path
) -> None:
    done = m4i("query", folder, "--out", tmp_path / "run", *options)
    assert done.code == 2, (done.out, done.err)
    assert "Traceback" not in done.err
    assert done.out == ""
    for each in told:
        assert each in done.err, done.err
    assert "typed-here" not in done.err
    assert "http://127.0.0.1:9" in options or not (tmp_path / "run").exists()


def test_a_budget_that_does_not_suffice_is_told_and_the_rest_follows(folder: Path, tmp_path: Path) -> None:
    with caption_endpoint("openai") as served:
        done = m4i(*_query(folder, served, tmp_path / "run", "--max-queries", "20", "--no-cache"))
        assert done.code == 2
        assert "16 of 30 answers are missing" in done.err or "14 of 30" in done.err
        assert len(served.queries) <= 20
        assert m4i(*_query(folder, served, tmp_path / "run", "--no-cache", "--json")).json["rows"] == 30
    assert not (tmp_path / "cache").exists()


def test_answers_that_are_all_refused_are_told_once_and_paid_once(folder: Path, tmp_path: Path) -> None:
    def rule(asked: Asked, _: int) -> Answer | None:
        return None if asked.method == "GET" else said({"error": "no such prompt"}, 400)

    with caption_endpoint("openai", rule=rule) as served:
        for _ in range(2):
            done = m4i(*_query(folder, served, tmp_path / "run"))
            assert done.code == 2
            assert "not one of 30 images got a usable answer" in done.err
            assert "no such prompt" in done.err
            assert "--again" in done.err
        assert len(served.questions) == 28


def test_the_key_is_neither_shown_nor_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "key").chmod(0o600)

    def rule(asked: Asked, number: int) -> Answer | None:
        return said({"error": f"bad key {asked.headers['authorization']}"}, 401) if number == 12 else None

    with caption_endpoint("openai", rule=rule) as served:
        where = ("--endpoint", served.url, "--protocol", "openai", "--private", "--out", tmp_path / "run")
        done = m4i("query", folder, *where, "--key-file", tmp_path / "key")
        assert done.code == 2
        assert "HTTP 401" in done.err
        again = m4i("query", folder, *where, "--key-file", tmp_path / "key")
    assert again.code == 0
    assert KEY not in done.out + done.err + again.out + again.err
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key"]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_says_so_and_goes_on(number: signal.Signals, code: int, folder: Path, tmp_path: Path) -> None:
    with caption_endpoint("hf", delay_s=0.1) as served:
        command = m4i_command(*_query(folder, served, tmp_path / "run", "--concurrency", "2"))
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while len(served.questions) < 8 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, number)
            _, complaints = process.communicate(timeout=30)
        assert process.returncode == code, complaints
        assert "Traceback" not in complaints
        assert "never retrieved" not in complaints
        served.captions.delay_s = 0.0
        assert m4i(*_query(folder, served, tmp_path / "run", "--quiet")).code == 0
        assert served.twice() <= 2
    pictures = {f"{row:05d}.png" for row in range(30)} - {"00002.png", "00005.png"}
    answered = dict(zip(generations(tmp_path / "run").ids, generations(tmp_path / "run").texts, strict=True))
    for name in pictures:
        (text,) = (value for key, value in answered.items() if key.removesuffix(".png") == name.removesuffix(".png"))
        assert text == caption_of((folder / name).read_bytes())


class Deployed:
    """An engine behind the protocol hf."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __call__(self, asked: Asked, number: int) -> Answer | None:
        from m4i_fast.data.images import resized, rgb_picture
        from m4i_fast.types import ImageBatch

        del number
        pixels = np.asarray(resized(rgb_picture(BytesIO(asked.body)), self._engine.image_size))
        answer = self._engine.generate(ImageBatch(("x",), pixels[None], (None,)))
        return said([{"generated_text": answer.texts[0]}])


def test_an_audit_of_a_deployed_model_ends_as_that_of_its_file(house: House, tmp_path: Path) -> None:
    from m4i_fast.engines import open_captioner

    def side(name: str) -> dict[str, Any]:
        split = house.split / name
        return {"data": {"path": str(split / "records.parquet")}, "membership": str(split / "membership.parquet")}

    shadow = side("shadow") | {"engine": str(house.engines / "shadow.onnx")}
    engine = house.engines / "target.onnx"
    results = {}
    with open_captioner(engine) as captioner, caption_endpoint("hf", rule=Deployed(captioner)) as served:
        deployed = {"url": served.url, "protocol": "hf", "private": True, "key_env": "TESTS_KEY"}
        for name, model in (("file", {"engine": str(engine)}), ("deployed", {"endpoint": deployed})):
            settings = {
                "out": str(tmp_path / name),
                "target": side("target") | model,
                "shadow": shadow,
                "evaluate": {"resamples": 200},
            }
            path = tmp_path / f"{name}.toml"
            path.write_text(tomli_w.dumps(settings))
            done = m4i("audit", path, "--quiet")
            assert done.code == 0, done.err
            results[name] = json.loads((tmp_path / name / "result.json").read_text())
        asked = len(served.queries)
        assert m4i("audit", tmp_path / "deployed.toml", "--quiet").code == 0
        assert len(served.queries) == asked, "what stands is kept"
    assert len(served.questions) == 80
    one, other = results["file"], results["deployed"]
    assert one["verdict"] == other["verdict"]
    assert one["attacks"] == other["attacks"]
    assert generations(tmp_path / "file").texts == generations(tmp_path / "deployed").texts
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert parts(tmp_path / "deployed")
