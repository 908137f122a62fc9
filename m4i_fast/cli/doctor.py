"""``m4i-fast doctor``."""

from __future__ import annotations

from m4i_fast.cli import options

__all__ = ["doctor"]


def doctor(json: options.Json = False) -> None:
    """Say what is installed, which providers really start, which kernels run, and what to run to repair the rest."""
    from m4i_fast.cli import render
    from m4i_fast.doctor import examine

    diagnosis = examine().to_dict()
    if json:
        render.emit_json(diagnosis)
        return
    for title, part in diagnosis.items():
        if isinstance(part, dict):
            render.facts(title, part)
        elif isinstance(part, list):
            print(f"{title}:" + ("".join(f"\n  {render.plain(line)}" for line in part) or " nothing"))
        else:
            print(f"{title}: {render.plain(part)}")
