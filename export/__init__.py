"""PyTorch to ONNX: one graph a model, checked against PyTorch before it gets its name."""

from __future__ import annotations

from m4i_fast.export.captioner import export_captioner
from m4i_fast.export.parity import ExportReport
from m4i_fast.export.towers import TowersReport, export_towers

__all__ = ["ExportReport", "TowersReport", "export_captioner", "export_towers"]
