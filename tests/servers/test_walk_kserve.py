"""``m4i-fast query`` against Triton and MLServer: the captions of the engine itself, over HTTP and gRPC."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import m4i
from tests.servers.conftest import Served
from tests.servers.walking import WAYS, answers, ledger, query

pytestmark = pytest.mark.servers

VERSIONS = {"triton_server": "1", "mlserver_server": "v1"}


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(("served", "protocol"), WAYS, indirect=["served"])
@pytest.mark.parametrize("kind", ["pixels", "files"])
def test_every_caption_is_the_engines(
    served: Served, protocol: str, kind: str, pictures: list[Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    model = getattr(served, kind)
    done = m4i(*query(pictures[0].parent, served.server, protocol, run, "--model", model)).json
    wanted = [(file.name, text, None) for file, text in zip(pictures, served.expected(pictures), strict=True)]
    assert answers(run) == wanted
    # Twelve pictures, eight a request.
    assert (done["rows"], done["errors"], done["batch"], done["requests"], done["faults"]) == (12, 0, 8, 2, 0)
    version = VERSIONS[f"{served.server.name}_server"]
    assert ledger(run, "SELECT DISTINCT name, version FROM model") == [(model, version)]


@pytest.mark.parametrize(("served", "protocol"), WAYS, indirect=["served"])
def test_a_broken_picture_costs_its_neighbours_nothing(
    served: Served, protocol: str, pictures: list[Path], tmp_path: Path
) -> None:
    folder, run = tmp_path / "pictures", tmp_path / "run"
    folder.mkdir()
    for row, picture in enumerate(pictures):
        content = picture.read_bytes()
        # It begins and ends as a JPEG does, so that it is sent; the server fails the whole batch of it.
        (folder / picture.name).write_bytes(content[:3] + bytes(200) + content[-2:] if row == 5 else content)
    more = ("--model", served.files, "--attempts", 3)
    done = m4i(*query(folder, served.server, protocol, run, *more)).json
    found = answers(run)
    name, text, reason = found.pop(5)
    assert (name, text, done["errors"]) == ("05.jpg", "", 1)
    assert reason is not None
    assert reason.startswith("the endpoint gave no answer in 5 attempts, the last: the endpoint answered ")
    # MLServer keeps the reason to itself over HTTP.
    assert (
        "Internal Server Error" if (served.server.name, protocol) == ("mlserver", "kserve") else "cannot identify"
    ) in reason
    good = [picture for row, picture in enumerate(pictures) if row != 5]
    assert found == [(file.name, caption, None) for file, caption in zip(good, served.expected(good), strict=True)]


@pytest.mark.parametrize(("served", "protocol"), WAYS, indirect=["served"])
def test_a_model_that_is_not_there_is_the_users_to_mend(
    served: Served, protocol: str, pictures: list[Path], tmp_path: Path
) -> None:
    command = query(pictures[0].parent, served.server, protocol, tmp_path / "run")
    unknown, unnamed = m4i(*command, "--model", "nobody"), m4i(*command)
    assert (unknown.code, unnamed.code) == (2, 2)
    assert "Check the URL, the protocol and the model's name" in unknown.err or "Check the model's name" in unknown.err
    assert "--model" in unnamed.err
    if served.server.name == "mlserver":
        assert "the server has 2 models (captioner, captioner-jpeg)" in unnamed.err
    else:  # pytriton keeps that part of the protocol for itself
        assert "the server does not list its models: the endpoint answered" in unnamed.err
