"""The machine that a bench ran on: what a reader needs to judge its figures, or to repeat them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from m4i_fast import __version__
from m4i_fast.bench.harness import cores_here

__all__ = ["environment", "load_average"]


def environment(distributions: Iterable[str]) -> dict[str, Any]:
    """Facts as JSON values; what the system does not tell is "unknown", never left out.

    Args:
        distributions: packages whose versions matter; absent ones are said to be absent.
    """
    from m4i_fast.kernels.backend import VARIABLE, backend_name, built_backends

    forced = os.environ.get(VARIABLE, "").strip()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "m4i-fast": __version__,
        "kernels": backend_name() + (f" (as {VARIABLE} says)" if forced else ""),
        "backends": list(built_backends()),
        "compiler": _compiler(),
        "cpu": _cpu(),
        "cores": len(cores_here()),
        "clock": _clock(),
        "governor": _governor(),
        "load_average": load_average(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in sorted(set(distributions), key=str.lower)},
    }


def load_average() -> float | str:
    """Of the last minute: how many processes wanted a core."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return "unknown"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    told = _first(r"^model name\s*:\s*(.+)$", "/proc/cpuinfo")
    family, model = (_first(rf"^{key}\s*:\s*(\d+)$", "/proc/cpuinfo") for key in ("cpu family", "model"))
    if told:
        return told + (f" (family {family}, model {model})" if family and model else "")
    return platform.processor() or "unknown"


def _clock() -> str:
    told = _first(r"^cpu MHz\s*:\s*([\d.]+)$", "/proc/cpuinfo")
    return f"{float(told):.0f} MHz as the system says" if told else "unknown"


def _governor() -> str:
    return _first(r"^(\w+)$", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown"


def _compiler() -> str:
    """What the core was compiled with, from the note that GCC and Clang leave in a library; no flags stand there."""
    core = importlib.util.find_spec("m4i_fast.kernels._core")
    if core is None or core.origin is None:
        return "none: the core is not built"
    found = re.search(rb"(?:GCC: \([^)]*\) [\d.]+|clang version [\d.]+)", Path(core.origin).read_bytes())
    return found.group().decode("ascii", "replace") if found else "unknown"


def _first(pattern: str, file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found else ""
