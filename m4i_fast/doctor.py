"""What is installed here, what of it really starts, and what to run to repair the rest.

Whatever could crash, hang or print is tried in a process of its own: a broken driver must not take the doctor with it.
Nothing here raises; what cannot be found out is said to be unknown.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from m4i_fast import __version__
from m4i_fast.extras import onnxruntime_builds

T = TypeVar("T")

__all__ = ["Diagnosis", "Extra", "ProviderTrial", "examine"]

TIMEOUT_S = 120.0
"""A first start of CUDA on a slow disk takes most of a minute."""

# An ONNX model of one node, y = x + x, float32 [1]; opset 17, so that every runtime of the last years reads it.
TINY_MODEL = (
    "08083a350a0e0a01780a017812017922034164641201675a0f0a0178120a0a0808"
    "0112040a020801620f0a0179120a0a08080112040a02080142040a001011"
)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

# Adding on a device and reading the sum back shows more than a session does: a GPU that the build has no code for.
_TRY_PROVIDER = """
import json, sys
import numpy, onnxruntime
name = sys.argv[1]
onnxruntime.set_default_logger_severity(4)
answer = {"in_build": name in onnxruntime.get_available_providers(), "started": "", "sum": 0.0}
if answer["in_build"]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        bytes.fromhex(sys.argv[2]), options, providers=[name], enable_fallback=0)
    answer["started"] = session.get_providers()[0]
    answer["sum"] = float(session.run(["y"], {"x": numpy.ones(1, numpy.float32)})[0][0])
print(json.dumps(answer))
"""

_TRY_TORCH = """
import json
import torch
print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads(),
                  "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""}))
"""

# Counting a pair shows more than an import does: a GPU that the compiler has no code for.
_TRY_TRITON = """
import json
import triton
from m4i_fast.errors import UserError
answer = {"version": triton.__version__}
try:
    from m4i_fast.kernels import gpu
    from m4i_fast.kernels.ids import TokenIds
    texts = [gpu.DeviceTokenIds.from_host(TokenIds.from_lists([text])) for text in ([1, 9, 3, 4], [1, 2, 3, 4])]
    answer["shared"] = gpu.subsequence_lengths(*texts).tolist()[0]
    answer["where"] = "in its interpreter" if gpu.interpreted() else "on " + gpu.torch.cuda.get_device_name()
except UserError as error:
    answer["reason"] = error.what
print(json.dumps(answer))
"""

_TWINS = {"cpu": "gpu", "gpu": "cpu"}
"""Extras that exclude each other: two builds of ONNX Runtime under one import name."""

_UNINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu"
_INSTALL = "pip install -c constraints.txt '.[{extra}]'"


@dataclass(frozen=True, slots=True)
class ProviderTrial:
    """One provider of ONNX Runtime. ``starts``: it made a session and added 1 + 1; else ``reason`` says why not."""

    name: str
    starts: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra. ``missing``: what lacks or is too old; empty where it is complete. ``cure``: the line that adds it."""

    name: str
    missing: tuple[str, ...]
    cure: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor saw.

    Attributes:
        version: of m4i-fast.
        python: version and where it lies.
        system: operating system and processor.
        cores: that this process may use.
        memory_gib: that this process may use; None where unknown.
        packages: versions of the packages that results depend on; absent ones are not in it.
        onnxruntime: installed builds and their versions; one is right.
        providers: what each provider did when it was tried.
        kernels: the backend of the overlap scores, or why there is none.
        triton: its version, and where the kernels for GPUs count, or why they do not.
        torch: version, threads and device as it says itself; ``error`` where it does not start; empty where absent.
        tensorrt: the modules ``tensorrt`` and ``tensorrt_rtx``: version, or "absent".
        extras: all extras of the package.
        advice: what to run; empty where nothing needs repair.
    """

    version: str
    python: str
    system: str
    cores: int
    memory_gib: float | None
    packages: dict[str, str]
    onnxruntime: dict[str, str]
    providers: tuple[ProviderTrial, ...]
    kernels: str
    triton: str
    torch: dict[str, str]
    tensorrt: dict[str, str]
    extras: tuple[Extra, ...]
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: texts, mappings from name to text, and the advice as a list of lines."""
        memory = "unknown" if self.memory_gib is None else f"{self.memory_gib:.1f} GiB"
        return {
            "m4i-fast": self.version,
            "python": self.python,
            "system": f"{self.system}, {self.cores} usable cores, {memory} of memory",
            "packages": dict(self.packages),
            "onnxruntime": dict(self.onnxruntime) or "not installed",
            "providers": {each.name: "starts" if each.starts else f"no: {each.reason}" for each in self.providers},
            "kernels": self.kernels,
            "triton": self.triton,
            "torch": dict(self.torch) or "not installed",
            "tensorrt": dict(self.tensorrt),
            "extras": {each.name: self._state(each) for each in self.extras},
            "advice": list(self.advice),
        }

    def _state(self, extra: Extra) -> str:
        if not extra.missing:
            return "complete"
        other = _TWINS.get(extra.name)
        if other is not None and any(each.name == other and not each.missing for each in self.extras):
            return f"not installed: the {other} build excludes it. To change: {extra.cure}"
        return f"lacks {', '.join(extra.missing)}. Run: {extra.cure}"


def examine() -> Diagnosis:
    """Look at everything; takes a few seconds, most of them for torch. Never raises."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        torch_trial = pool.submit(_attempt, _torch, {"error": "unknown"})
        triton_trial = pool.submit(_attempt, _triton, "unknown")
        trials = {name: pool.submit(_try_provider, name) for name in PROVIDERS}
        builds: dict[str, str] = _attempt(onnxruntime_builds, {})
        requirements: list[str] = _attempt(_requirements, [])
        extras: tuple[Extra, ...] = _attempt(lambda: _extras(requirements, _version), ())
        kernels, kernel_advice = _kernels()
        providers = tuple(trial.result() for trial in trials.values())
        torch, triton = torch_trial.result(), triton_trial.result()
    base: tuple[str, ...] = _attempt(lambda: _lacking(requirements, None, _version), ())
    return Diagnosis(
        version=__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        system=_attempt(lambda: f"{platform.system()} {platform.machine()}", "unknown"),
        cores=_attempt(_cores, 1),
        memory_gib=_attempt(_memory_gib, None),
        packages=_attempt(lambda: _packages(requirements), {}),
        onnxruntime=builds,
        providers=providers,
        kernels=kernels,
        triton=triton,
        torch=torch,
        tensorrt={name: _module_version(name) for name in ("tensorrt", "tensorrt_rtx")},
        extras=extras,
        advice=(
            *([f"The base packages lack {', '.join(base)}. Run: pip install -c constraints.txt ."] if base else []),
            *_runtime_advice(builds, providers, gpu=_gpu_is_there()),
            *kernel_advice,
        ),
    )


def _attempt(look: Callable[[], T], otherwise: T) -> T:
    try:
        return look()
    except Exception:
        return otherwise


def _ask(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process of its own; gives its JSON, or ``{"failed": reason}``."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            # -P: a folder named onnxruntime in the working folder must not be imported.
            [sys.executable, "-P", "-W", "ignore", "-c", script, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode == 0:
            answer = json.loads(done.stdout.strip().splitlines()[-1])
            return answer if isinstance(answer, dict) else {"failed": "it gave no answer"}
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer within {TIMEOUT_S:.0f} s"}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    if done.returncode < 0:
        return {"failed": f"the process died of signal {-done.returncode}"}
    lines = done.stderr.strip().splitlines()
    return {"failed": lines[-1][:300] if lines else f"exit code {done.returncode}"}


def _try_provider(name: str) -> ProviderTrial:
    if _attempt(lambda: importlib.util.find_spec("onnxruntime"), None) is None:
        return ProviderTrial(name, starts=False, reason="ONNX Runtime is not installed")
    answer = _ask(_TRY_PROVIDER, PROVIDERS[name], TINY_MODEL)
    if "failed" in answer:
        return ProviderTrial(name, starts=False, reason=str(answer["failed"]))
    if not answer.get("in_build"):
        return ProviderTrial(name, starts=False, reason="not in this build of ONNX Runtime")
    if answer.get("started") != PROVIDERS[name]:
        return ProviderTrial(name, starts=False, reason=f"fell back in silence to {answer.get('started')}")
    if answer.get("sum") != 2.0:
        return ProviderTrial(name, starts=False, reason=f"it says that 1 + 1 = {answer.get('sum')}")
    return ProviderTrial(name, starts=True, reason="")


def _torch() -> dict[str, str]:
    if importlib.util.find_spec("torch") is None:
        return {}
    answer = _ask(_TRY_TORCH)
    if "failed" in answer:
        return {"error": str(answer["failed"])}
    return {
        "version": str(answer.get("version")),
        "threads": str(answer.get("threads")),
        "device": str(answer.get("cuda") or "cpu"),
    }


def _triton() -> str:
    if importlib.util.find_spec("triton") is None:
        return "not installed"
    answer = _ask(_TRY_TRITON)
    if "failed" in answer:
        return f"no: {answer['failed']}"
    if "reason" in answer:
        return f"{answer['version']}, counts nothing: {answer['reason']}"
    if answer.get("shared") != 3:
        return f"no: it says that 1 9 3 4 and 1 2 3 4 share {answer.get('shared')}"
    return f"{answer['version']}, counts {answer['where']}"


def _kernels() -> tuple[str, tuple[str, ...]]:
    try:
        from m4i_fast.kernels.backend import CORES, backend_name

        name = backend_name()
    except Exception as error:
        return f"no: {error}", (f"The overlap kernels do not start: {error}",)
    if os.environ.get("M4I_FAST_KERNELS", "").strip():
        return f"{name}, as M4I_FAST_KERNELS says", ()
    if name in CORES:
        return f"C++ core, {name}", ()
    cure = "Install a C++20 compiler, then run: pip install --force-reinstall --no-deps -c constraints.txt ."
    return f"{name}: slower, the same scores", (f"The C++ core was not built. {cure}",)


def _runtime_advice(builds: Mapping[str, str], providers: Iterable[ProviderTrial], *, gpu: bool) -> tuple[str, ...]:
    """One line for each fault of ONNX Runtime."""
    trials = {each.name: each for each in providers}
    cpu, cuda = trials["cpu"], trials["cuda"]
    right = _INSTALL.format(extra="gpu" if gpu else "cpu")
    if len(builds) > 1:
        return (f"Both builds of ONNX Runtime are installed and overwrite each other. Run: {_UNINSTALL} && {right}",)
    if not builds and not cpu.starts:
        return (f"ONNX Runtime is not installed. Run: {right}",)
    if not cpu.starts:
        return (f"ONNX Runtime does not start ({cpu.reason}). Run: {_UNINSTALL} && {right}",)
    if gpu and "onnxruntime-gpu" not in builds:
        return (f"A GPU is here, and ONNX Runtime cannot use it. Run: {_UNINSTALL} && {right}",)
    if "onnxruntime-gpu" in builds and not cuda.starts:
        if gpu:
            cure = "It needs the CUDA and cuDNN of its own version; run: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            return (f"CUDA does not start ({cuda.reason}). {cure}",)
        return (f"No GPU is here; the smaller build is enough. Run: {_UNINSTALL} && {right}",)
    return ()


def _gpu_is_there() -> bool:
    return _attempt(lambda: any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists(), otherwise=False)


def _requirements() -> list[str]:
    return importlib.metadata.requires("m4i-fast") or []


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras(requirements: Iterable[str], version: Callable[[str], str | None]) -> tuple[Extra, ...]:
    """All extras that the requirements name, in their order."""
    requirements = list(requirements)
    names = list(dict.fromkeys(name for each in requirements if (name := _parse(each)[2]) is not None))
    found = []
    for name in names:
        missing = _lacking(requirements, name, version)
        cure = _INSTALL.format(extra=name)
        if name in _TWINS and missing and (version("onnxruntime") or version("onnxruntime-gpu")):
            cure = f"{_UNINSTALL} && {cure}"
        found.append(Extra(name, missing, cure))
    return tuple(found)


def _lacking(requirements: Iterable[str], extra: str | None, version: Callable[[str], str | None]) -> tuple[str, ...]:
    """Requirements of one extra (None: of the base) that are not met, each with what is there instead."""
    missing = []
    for requirement in requirements:
        name, minimum, of = _parse(requirement)
        if of != extra or not _for_this_system(requirement):
            continue
        there = version(name)
        if there is None:
            missing.append(name)
        elif _numbers(there) < _numbers(minimum):
            missing.append(f"{name} >= {minimum} (is {there})")
    return tuple(missing)


def _parse(requirement: str) -> tuple[str, str, str | None]:
    """Name, lower bound ("" for none) and extra (None for the base) of one requirement of our own metadata."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    minimum = re.search(r">=\s*([0-9][0-9.]*)", requirement.split(";", maxsplit=1)[0])
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
    return (
        name.group() if name else requirement,
        minimum.group(1) if minimum else "",
        extra.group(1) if extra else None,
    )


def _for_this_system(requirement: str) -> bool:
    """Whether the requirement stands for this operating system; of our own metadata one may name a single one."""
    only = re.search(r"platform_system\s*==\s*['\"]([^'\"]+)['\"]", requirement)
    return only is None or only.group(1) == platform.system()


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version without closing zeros: "2.13.0+cpu" gives (2, 13)."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in release.group().split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _packages(requirements: Iterable[str]) -> dict[str, str]:
    names = dict.fromkeys(name for name, _, extra in map(_parse, requirements) if extra not in {"bench", "test"})
    return {name: there for name in sorted(names, key=str.lower) if (there := _version(name)) is not None}


def _module_version(name: str) -> str:
    if _attempt(lambda: importlib.util.find_spec(name), None) is None:
        return "absent"
    for distribution in (name, name.replace("_", "-")):
        there = _version(distribution)
        if there is not None:
            return there
    return "present, version unknown"


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota: list[str] = _attempt(lambda: Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split(), [])
    if len(quota) == 2 and quota[0].isdigit():  # a container's share of the machine
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def _memory_gib() -> float | None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _attempt(lambda: Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip(), "max")
    if limit.isdigit():
        total = min(total, int(limit))
    return total / 2**30
