"""Options that many commands share, so that one word means one thing everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Again",
    "Batch",
    "BatchOrAuto",
    "DataFile",
    "Format",
    "Images",
    "Json",
    "Protocol",
    "Provider",
    "ProviderOption",
    "Quiet",
    "RunFolder",
    "Seed",
    "Threads",
]


class Provider(StrEnum):
    """What runs an engine."""

    cpu = "cpu"
    cuda = "cuda"
    tensorrt = "tensorrt"


class Protocol(StrEnum):
    """How an endpoint is spoken to."""

    openai = "openai"
    kserve = "kserve"
    kserve_grpc = "kserve-grpc"
    hf = "hf"


DataFile = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Captioned images: COCO JSON, Flickr8k token or captions.txt, IAPR TC-12 folder, R2Gen annotation.json, "
        "JSONL, CSV or Parquet with columns id,image,caption(s), WebDataset tars, Parquet with the images in it, or a "
        "folder of images; a path, or a URL of a store (s3://, gs://, hf://). '{000..127}' and '*' mean several files.",
        show_default=False,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the images, where it is not the one beside DATA; a path or a URL.",
        show_default=False,
    ),
]
Format = Annotated[str, typer.Option(help="Format of DATA; 'auto' looks at the file.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
ProviderOption = Annotated[
    Provider, typer.Option(help="What runs the engine; one that does not really start is an error.")
]
Threads = Annotated[int, typer.Option(min=0, max=256, help="Threads of the engine; 0 takes all cores.")]
Batch = Annotated[int, typer.Option(min=1, help="Images a batch.")]
BatchOrAuto = Annotated[str, typer.Option(metavar="N|auto", help="Images a batch; 'auto' tries what is fastest.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice; same seed, same numbers.")]
Again = Annotated[bool, typer.Option("--again", help="Do it anew even where the result already stands.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and remarks on standard error.")]
