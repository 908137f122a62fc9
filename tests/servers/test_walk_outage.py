"""A real server that dies in the middle of a query, or comes back with another model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from m4i_fast.engines.metadata import KEY
from tests.cli.conftest import m4i, m4i_command
from tests.servers.conftest import served_engine
from tests.servers.environments import free_ports, running
from tests.servers.walking import answers, ledger, query

pytestmark = pytest.mark.servers

COPIES = 12
ANSWERED = "SELECT COUNT(*) FROM question WHERE state = 1"
ENDS_S = 60.0


@pytest.fixture(scope="module")
def many(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each picture twelve times, under names of its own."""
    folder = tmp_path_factory.mktemp("many")
    for row, picture in enumerate(pictures * COPIES):
        (folder / f"{row:03d}.jpg").hardlink_to(picture)
    return folder


def _until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + ENDS_S
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("name", "protocol"), [("triton", "kserve"), ("mlserver", "kserve-grpc")])
def test_a_killed_server_ends_the_query_and_the_same_command_goes_on(
    name: str, protocol: str, environments: Path, engine: Path, pictures: list[Path], many: Path, tmp_path: Path
) -> None:
    ports, run = free_ports(), tmp_path / "run"
    with running(name, environments, "--engine", engine, ports=ports) as server:
        command = query(many, server, protocol, run, "--model", "captioner", "--qps", 10, "--attempts", 3)
        asking = subprocess.Popen(m4i_command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _until(lambda: ledger(run, ANSWERED)[:1] > [(16,)] or asking.poll() is not None)
            os.killpg(server.pid, signal.SIGKILL)
            _, said = asking.communicate(timeout=ENDS_S)
        finally:
            asking.kill()
            asking.wait()
    assert asking.returncode == 1, said
    assert "the endpoint has given no answer for" in said
    assert "run the same command again" in said
    ((kept,),) = ledger(run, ANSWERED)
    assert 16 < kept < len(pictures) * COPIES
    with running(name, environments, "--engine", engine, ports=ports):
        done = m4i(*command, "--qps", 0).json
    assert (done["rows"], done["errors"], done["asked"]) == (144, 0, 144 - kept)
    texts = served_engine(server, engine).expected(pictures) * COPIES
    assert answers(run) == [(f"{row:03d}.jpg", text, None) for row, text in enumerate(texts)]


def test_another_model_under_the_same_name_voids_the_run(
    environments: Path, engine: Path, many: Path, tmp_path: Path
) -> None:
    run, ports = tmp_path / "run", free_ports()
    with running("mlserver", environments, "--engine", engine, ports=ports) as server:
        command = query(many, server, "kserve", run, "--model", "captioner")
        done = m4i(*command, "--max-queries", 30)
        assert done.code == 2
        assert "the budget has no room for one more query" in done.err
    with running("mlserver", environments, "--engine", _shouting(engine, tmp_path), ports=ports):
        for _ in range(2):
            done = m4i(*command)
            assert done.code != 0
            assert "void" in done.err
        assert "said" in done.err
        assert m4i(*command, "--again").json["asked"] == 144
    assert all(text.isupper() for _, text, _ in answers(run))


def _shouting(engine: Path, folder: Path) -> Path:
    """The same captioner, all of whose words are upper case."""
    import onnx

    model = onnx.load(engine)
    (about,) = [entry for entry in model.metadata_props if entry.key == KEY]
    fields = json.loads(about.value)
    about.value = json.dumps(fields | {"vocabulary": [word.upper() for word in fields["vocabulary"]]})
    onnx.save(model, folder / "shouting.onnx")
    return folder / "shouting.onnx"
