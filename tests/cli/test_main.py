"""The command line as a whole: what it imports, how it fails, what it promises in its help."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from m4i_fast.cli import main as cli
from m4i_fast.errors import DataError, RunFailed

HEAVY = (
    "torch",
    "onnxruntime",
    "onnx",
    "sklearn",
    "scipy",
    "pyarrow",
    "matplotlib",
    "numpy",
    "PIL",
    "msgspec",
    "jinja2",
)


def test_help_imports_no_heavy_package() -> None:
    probe = (
        "import sys\n"
        "from m4i_fast.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def _commands(group: typer.Typer, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [(*prefix, command.name or "") for command in group.registered_commands]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        found += _commands(inner.typer_instance, (*prefix, inner.name or ""))
    return found


COMMANDS = _commands(cli.app)


def test_the_commands_are_these() -> None:
    assert sorted(" ".join(command) for command in COMMANDS) == [
        "attack epsilon",
        "attack fit",
        "attack score",
        "audit",
        "bench overlap",
        "bench query",
        "bench scale",
        "data inspect",
        "data split",
        "demo",
        "doctor",
        "encode",
        "evaluate",
        "export",
        "overlap",
        "query",
        "report",
        "score",
        "train captioner",
        "train encoders",
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_helps(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--help"])
    assert end.value.code == 0
    assert f"Usage: m4i-fast {' '.join(command)} " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["overlap", "score"])
def test_the_help_names_all_recipes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from m4i_fast.text.recipes import RECIPES

    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    *most, last = RECIPES
    assert f"{', '.join(most)} or {last};" in said


def test_an_error_says_what_where_and_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object, **__: object) -> None:
        raise DataError("the file is \x1b[31mempty", where="a.json", cure="Give another.")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: a.json: the file is \\x1b[31mempty.\n       Give another.\n"


def test_a_failure_of_the_machine_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, **__: object) -> None:
        raise RunFailed("it broke")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == 1


def test_ctrl_c_says_that_nothing_is_lost(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "m4i_fast", "demo", "--out", str(tmp_path / "demo")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not (tmp_path / "demo/data/overfitted_member/images").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "what was finished is kept" in said
    assert "Traceback" not in said


def test_ctrl_c_that_typer_does_not_see_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as end:
        cli.main(["query"])
    assert end.value.code == 130
    assert "what was finished is kept" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_ctrl_c_is_told_by_each_command_as_it_is(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object, **__: object) -> None:
        raise SystemExit(130)

    monkeypatch.setattr(cli, "app", interrupted)
    for asked in (list(command), None):
        monkeypatch.setattr(sys, "argv", ["m4i-fast", *command, "--seed", "1"])
        with pytest.raises(SystemExit):
            cli.main(asked)
        # These begin anew: they make one thing, whole or not at all, or nothing but words.
        benches = {"bench overlap", "bench query", "bench scale"}
        whole = {*benches, "data inspect", "data split", "doctor", "export", "score"}
        kept = "nothing of it is kept" if " ".join(command) in whole else "what was finished is kept"
        assert capsys.readouterr().err.startswith(f"interrupted; {kept}: ")


@pytest.mark.parametrize("arguments", [["--help"], ["data", "inspect", "DATA", "--json"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "image": "1.png", "caption": "a cat"}\n')
    command = [
        sys.executable,
        "-m",
        "m4i_fast",
        *(each.replace("DATA", str(tmp_path / "a.jsonl")) for each in arguments),
    ]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_option_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["query", "--engin", "x"])
    assert end.value.code == 2
    assert "--engine" in capsys.readouterr().err


def test_a_missing_data_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["query", str(tmp_path / "absent.json"), "--engine", "x.onnx", "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert "absent.json" in capsys.readouterr().err
