"""The two encoder towers as ONNX graphs: uint8 pixels or int32 token ids in, vectors out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from m4i_fast.engines import open_image_encoder, open_text_encoder
from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.export.graph import write_graph
from m4i_fast.export.parity import ExportReport, check_vectors, sample_pictures
from m4i_fast.nets.backbones import weights_digest
from m4i_fast.nets.checkpoint import load_towers
from m4i_fast.runs import atomic_path, sha256_of
from m4i_fast.text.vocabulary import SPECIALS, Vocabulary

__all__ = ["TowersReport", "export_towers"]


@dataclass(frozen=True, slots=True)
class TowersReport:
    """The two exported graphs."""

    image: ExportReport
    text: ExportReport


def export_towers(
    checkpoint: Path, out: Path, *, pixels: npt.NDArray[np.uint8] | None = None, sample: int = 16
) -> TowersReport:
    """Export two trained towers to ``out/image.onnx`` and ``out/text.onnx``; both, or neither where one disagrees.

    Args:
        checkpoint: folder of ``train encoders``.
        out: the folder to write to.
        pixels: uint8 [n, S, S, 3] to compare on; None: ``sample`` pictures of the training and drawn ones.
        sample: how many pictures, and how many texts, to compare on.

    Raises:
        EngineError: the checkpoint cannot be used.
        RunFailed: export failed, or a feature differs from PyTorch's by more than 1e-4.
    """
    started = time.perf_counter()
    loaded = load_towers(checkpoint)
    card = loaded.card
    size = card.backbone.image_size
    pictures = sample_pictures(checkpoint, size, sample, pixels)
    texts = _sentences(loaded.vocabulary, card.max_tokens, sample)
    tokens = loaded.vocabulary.encode(texts, card.max_tokens)
    with torch.no_grad():
        image_vectors = loaded.image(torch.from_numpy(pictures)).numpy()
        text_vectors = loaded.text(torch.from_numpy(tokens)).numpy()
    about = {
        "architecture": f"MFE towers, {card.backbone.name}",
        "objective": str(card.settings.get("objective", "")),
        "epochs": str(card.epochs_done),
        "training_images": str(card.images),
        "unit_length": "yes" if card.unit else "no",
    }
    image_path, text_path = out / "image.onnx", out / "text.onnx"
    output = [("features", ("batch", card.dim))]
    with atomic_path(image_path) as image_file, atomic_path(text_path) as text_file:
        write_graph(
            loaded.image,
            torch.from_numpy(np.concatenate([pictures, pictures])[:2]),
            image_file,
            input_name="pixels",
            outputs=output,
            metadata=EngineMetadata(
                kind="image_encoder",
                name=f"{card.backbone.name}-mfe-image",
                image_size=size,
                dim=card.dim,
                weights_sha256=weights_digest(loaded.image),
                about=about,
            ),
        )
        with open_image_encoder(image_file) as image_engine:
            image_difference = check_vectors(image_engine.encode(pictures), image_vectors, image_path)
        half = time.perf_counter()
        write_graph(
            loaded.text,
            torch.from_numpy(np.concatenate([tokens, tokens])[:2]),
            text_file,
            input_name="tokens",
            outputs=output,
            metadata=EngineMetadata(
                kind="text_encoder",
                name=f"{card.backbone.name}-mfe-text",
                vocabulary=list(loaded.vocabulary.words),
                max_tokens=card.max_tokens,
                dim=card.dim,
                weights_sha256=weights_digest(loaded.text),
                about=about,
            ),
        )
        with open_text_encoder(text_file) as text_engine:
            text_difference = check_vectors(text_engine.encode(texts), text_vectors, text_path)
    ended = time.perf_counter()
    return TowersReport(
        ExportReport(
            image_path,
            sha256_of(image_path),
            image_path.stat().st_size,
            len(pictures),
            image_difference,
            half - started,
        ),
        ExportReport(
            text_path, sha256_of(text_path), text_path.stat().st_size, len(texts), text_difference, ended - half
        ),
    )


def _sentences(vocabulary: Vocabulary, longest: int, count: int) -> list[str]:
    """No text, unknown words, one word, too many words, and random sentences in between."""
    rng = np.random.default_rng(18)
    known = list(vocabulary.words[len(SPECIALS) :])
    texts = ["", "qqqq zzzz", known[0], " ".join(known[:1] * (longest + 3))]
    while len(texts) < count:
        texts.append(" ".join(rng.choice(known, size=int(rng.integers(1, longest + 1)))))
    return texts[: max(count, 1)]
