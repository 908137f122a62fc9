"""``m4i-fast data inspect`` and ``data split``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["app", "inspect", "split"]

app = typer.Typer(help="Look at data and split it.", no_args_is_help=True)


@app.command("inspect")
def inspect(
    data: options.DataFile,
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    near_duplicates: Annotated[bool, typer.Option(help="Also decode all images and count near-duplicates.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what the tool reads in DATA: format, records, captions, what cannot be read and why."""
    from m4i_fast.cli import render
    from m4i_fast.data.inspection import inspect as look
    from m4i_fast.progress import hush

    hush(quiet or json)
    found = look(data, images=images, format=format, near_duplicates=near_duplicates).to_dict()
    if json:
        render.emit_json(found)
        return
    render.facts("", {key: value for key, value in found.items() if not isinstance(value, list | dict)})
    for key, value in found.items():
        if isinstance(value, dict) and value:
            render.facts(key, value)
    for record in found["first"]:
        print(render.plain(f"{record['id']}: {record['image']}" + (f" ({record['error']})" if record["error"] else "")))
        for caption in record["references"]:
            print(f"    {render.plain(caption)}")


@app.command("split", short_help="Draw disjoint sets, near-duplicates removed.")
def split(
    data: options.DataFile,
    out: Annotated[Path, typer.Option(help="Folder for the split.")],
    target_member: Annotated[int, typer.Option(min=1, help="Records the target is (to be) trained on.")],
    target_nonmember: Annotated[int, typer.Option(min=1, help="Records it never sees.")],
    shadow_member: Annotated[int, typer.Option(min=0)] = 0,
    shadow_nonmember: Annotated[int, typer.Option(min=0)] = 0,
    encoder: Annotated[int, typer.Option(min=0, help="Records for the encoder towers.")] = 0,
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    keep_near_duplicates: Annotated[bool, typer.Option(help="Do not remove near-duplicate images.")] = False,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw disjoint i.i.d. sets from DATA, near-duplicate images removed and counted.

    Writes one folder a side (target/, shadow/, encoder/) with records.parquet and membership.parquet, ready for
    'train', 'query' and 'evaluate'.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.stages.settings import DataSettings, SplitSettings
    from m4i_fast.stages.split import split_stage_alone

    hush(quiet or json)
    facts = split_stage_alone(
        out,
        DataSettings(path=data, images=images, format=format),
        SplitSettings(
            kind="iid",
            target_member=target_member,
            target_nonmember=target_nonmember,
            shadow_member=shadow_member,
            shadow_nonmember=shadow_nonmember,
            encoder=encoder,
            near_duplicates="keep" if keep_near_duplicates else "remove",
        ),
        seed=seed,
    )
    if json:
        render.emit_json(facts)
    else:
        render.facts("", facts)
