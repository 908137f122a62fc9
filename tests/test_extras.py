"""Optional packages: present ones are imported, absent ones end in the line that installs them."""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from m4i_fast import extras
from m4i_fast.errors import ExtraMissing
from m4i_fast.extras import EXTRA_OF, onnxruntime_builds, require


def test_what_is_installed_is_imported() -> None:
    import json

    assert require("json", why="a test") is json
    assert require("onnxruntime", why="a test").__name__ == "onnxruntime"
    assert require("xml.dom", why="a test").__name__ == "xml.dom"


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "train"),
        ("onnx", "cpu"),
        ("safetensors.numpy", "train"),
        ("onnxscript", "train"),
        ("triton", "triton"),
    ],
)
def test_what_is_absent_names_its_purpose_and_its_line(
    module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name.split(".", maxsplit=1)[0])

    monkeypatch.setattr(extras.importlib, "import_module", absent)  # type: ignore[attr-defined]
    with pytest.raises(ExtraMissing) as caught:
        require(module, why="training a captioner")
    assert caught.value.what == f"training a captioner needs the package '{module}', which is not installed"
    assert caught.value.cure == f"Run: pip install -c constraints.txt '.[{extra}]'"
    assert caught.value.exit_code == 2


def test_of_several_extras_the_one_that_was_asked_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExtraMissing) as caught:
        require("torch", why="counting on the GPU", extra="triton")
    assert caught.value.cure == "Run: pip install -c constraints.txt '.[triton]'"


def test_a_package_that_is_broken_inside_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m4i_broken_package.py").write_text("import m4i_no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="m4i_no_such_dependency"):
        require("m4i_broken_package", why="a test")


def _builds(monkeypatch: pytest.MonkeyPatch, installed: dict[str, str]) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_both_builds_of_onnx_runtime_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _builds(monkeypatch, {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.0"})
    assert onnxruntime_builds() == {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.0"}
    with pytest.raises(ExtraMissing, match="both are installed") as caught:
        require("onnxruntime", why="running an engine")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in str(caught.value.cure)


def test_no_build_of_onnx_runtime_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _builds(monkeypatch, {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match="running an engine needs ONNX Runtime, which is not installed") as caught:
        require("onnxruntime", why="running an engine")
    assert "'.[cpu]' (or '.[gpu]'" in str(caught.value.cure)


def test_a_build_from_source_without_a_known_name_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    _builds(monkeypatch, {})
    assert require("onnxruntime", why="a test") is sys.modules["onnxruntime"]


def test_every_module_of_the_list_is_brought_by_its_extra() -> None:
    requirements = importlib.metadata.requires("m4i-fast") or []
    for module, extra in EXTRA_OF.items():
        pattern = rf"{module.replace('_', '[-_]')}\b.*extra == ['\"]{extra}['\"]"
        assert any(re.match(pattern, each) for each in requirements), (module, extra)
