"""``m4i-fast train captioner`` and ``train encoders``."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(help="Train a captioner or the two encoder towers (extra: train).", no_args_is_help=True)
