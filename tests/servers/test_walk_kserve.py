"""``m4i-fast query`` against Triton and MLServer: the captions of the engine itself, over HTTP and gRPC."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import m4i
from tests.servers.conftest import Served
from tests.servers.walking import WAYS, answers, ledger, query, shown, words

pytestmark = pytest.mark.servers

VERSIONS = {"triton": "1", "mlserver": "v1"}


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


SHOWN = [(f"{name}_server", line) for name in ("triton", "mlserver") for line in shown(name)]


def test_the_page_shows_both_models_over_both_protocols() -> None:
    assert len(SHOWN) == len({line for _, line in SHOWN}) * 2 == 8


@pytest.mark.parametrize(("served", "line"), SHOWN, indirect=["served"])
def test_each_command_of_the_page_gives_the_captions_of_the_engine(
    served: Served, line: str, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").symlink_to(pictures[0].parent)
    command = words(line, served.server)
    done = m4i(*command, "--no-cache").json
    run, model = (command[command.index(name) + 1] for name in ("--out", "--model"))
    wanted = [(file.name, text, None) for file, text in zip(pictures, served.expected(pictures), strict=True)]
    assert answers(Path(run)) == wanted
    # Twelve pictures, eight a request.
    assert (done["rows"], done["errors"], done["batch"], done["requests"], done["faults"]) == (12, 0, 8, 2, 0)
    version = VERSIONS[served.server.name]
    assert ledger(Path(run), "SELECT DISTINCT name, version FROM model") == [(model, version)]


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
