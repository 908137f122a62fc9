"""The PTB tokeniser of pycocoevalcap itself, in Java. Run as a script it writes ``ptb_java.json`` anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.kernels.ptb_texts import hard_captions

FIXTURE = Path(__file__).with_suffix(".json")
SEED = 8
CAPTIONS = 400

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="the original needs 'java' on the path")


def java(captions: list[str]) -> list[str]:
    """What pycocoevalcap makes of the captions; each has an image of its own."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    found = PTBTokenizer().tokenize({i: [{"caption": caption}] for i, caption in enumerate(captions)})
    return [found[i][0] for i in range(len(captions))]


if __name__ == "__main__":
    texts = hard_captions(SEED, CAPTIONS)
    pairs = list(zip(texts, java(texts), strict=True))
    FIXTURE.write_text("[\n" + ",\n".join(map(json.dumps, pairs)) + "\n]\n", encoding="ascii")
