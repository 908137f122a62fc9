"""transformers' own OpenAI-compatible server, pinned to the model in ``--model``; its name is the folder's name."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

sys.path.append(str(Path(__file__).parents[1] / "common"))
from lifeline import end_with_starter
from transformers.cli.transformers import main as transformers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    options = parser.parse_args()
    model = options.model.resolve()
    os.chdir(model.parent)  # the server calls its model as it was given it
    end_with_starter()
    sys.argv = ["transformers", "serve", model.name, "--host", "127.0.0.1", "--port", str(options.http_port)]
    sys.argv += ["--device", "cpu", "--default-seed", "0"]
    transformers()


if __name__ == "__main__":
    main()
