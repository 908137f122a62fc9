"""``m4i-fast query``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m4i_fast.cli import options

if TYPE_CHECKING:
    from m4i_fast.runs import StageReport
    from m4i_fast.stages.settings import EndpointSettings

__all__ = ["query"]

LOCAL, DEPLOYED, SPEND, ASKED = "A model file", "A deployed model", "What it may cost", "What is asked"

Flag = typer.Option


def query(
    context: typer.Context,
    data: options.DataFile,
    out: Annotated[Path, Flag(help="Run folder; made if absent. The same command goes on where it stood.")],
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    engine: Annotated[
        str | None, Flag(help="The captioner: an .onnx file made by 'm4i-fast export'.", rich_help_panel=LOCAL)
    ] = None,
    provider: options.ProviderOption = options.Provider.cpu,
    batch: options.BatchOrAuto = "32",
    threads: options.Threads = 0,
    workers: Annotated[
        int, Flag(min=1, max=256, help="Processes, each with an engine of its own.", rich_help_panel=LOCAL)
    ] = 1,
    ray: Annotated[
        str | None,
        Flag(
            metavar="ADDRESS",
            help="Let a Ray cluster's actors be the workers: its address, 'auto', or 'local' for this machine.",
            rich_help_panel=LOCAL,
        ),
    ] = None,
    endpoint: Annotated[str | None, Flag(help="URL of a deployed captioner.", rich_help_panel=DEPLOYED)] = None,
    protocol: Annotated[
        options.Protocol | None, Flag(help="How the endpoint is spoken to.", rich_help_panel=DEPLOYED)
    ] = None,
    model: Annotated[str | None, Flag(help="Its name at the endpoint.", rich_help_panel=DEPLOYED)] = None,
    key_env: Annotated[
        str | None,
        Flag(metavar="NAME", help="Environment variable that holds the key.", rich_help_panel=DEPLOYED),
    ] = None,
    key_file: Annotated[Path | None, Flag(help="File that holds the key.", rich_help_panel=DEPLOYED)] = None,
    private: Annotated[
        bool, Flag("--private", help="Allow addresses that are not public.", rich_help_panel=DEPLOYED)
    ] = False,
    qps: Annotated[
        float | None,
        Flag(
            min=0,
            help="Requests a second; 0: no limit. [default: 5; no limit on this machine]",
            rich_help_panel=DEPLOYED,
        ),
    ] = None,
    concurrency: Annotated[
        int, Flag(min=1, max=4096, help="Requests under way at once, at most.", rich_help_panel=DEPLOYED)
    ] = 8,
    timeout: Annotated[float, Flag(min=0.1, help="Seconds for one attempt.", rich_help_panel=DEPLOYED)] = 120.0,
    attempts: Annotated[int, Flag(min=1, max=100, help="At one image.", rich_help_panel=DEPLOYED)] = 8,
    prompt: Annotated[str | None, Flag(help="What the model is told to do.", rich_help_panel=ASKED)] = None,
    system: Annotated[str | None, Flag(help="System message (openai).", rich_help_panel=ASKED)] = None,
    max_tokens: Annotated[int, Flag(min=1, help="Of an answer.", rich_help_panel=ASKED)] = 64,
    temperature: Annotated[float, Flag(min=0, max=10, help="0 is greedy.", rich_help_panel=ASKED)] = 0.0,
    top_p: Annotated[float | None, Flag(min=0, max=1, help="Of nucleus sampling.", rich_help_panel=ASKED)] = None,
    seed: Annotated[int, Flag(help="Of the sampling, where the protocol has one.", rich_help_panel=ASKED)] = 0,
    option: Annotated[
        list[str] | None,
        Flag(metavar="KEY=JSON", help="Any other field for the endpoint (repeatable).", rich_help_panel=ASKED),
    ] = None,
    samples: Annotated[int, Flag(min=1, help="Answers a picture.", rich_help_panel=ASKED)] = 1,
    augment: Annotated[
        str, Flag(metavar="NAMES", help="Ask about variants too, of: crop,flip,blur,noise.", rich_help_panel=ASKED)
    ] = "",
    max_queries: Annotated[
        int | None, Flag(min=0, help="Stop after so many, resumptions included.", rich_help_panel=SPEND)
    ] = None,
    max_cost: Annotated[
        float | None, Flag(min=0, help="Stop before it costs more, in the money of the prices.", rich_help_panel=SPEND)
    ] = None,
    price_query: Annotated[float, Flag(min=0, help="Of a request.", rich_help_panel=SPEND)] = 0.0,
    price_prompt_token: Annotated[float, Flag(min=0, help="Of a token sent.", rich_help_panel=SPEND)] = 0.0,
    price_completion_token: Annotated[float, Flag(min=0, help="Of a token received.", rich_help_panel=SPEND)] = 0.0,
    dry_run: Annotated[
        bool, Flag("--dry-run", help="Only say what would be asked, and what it may cost.", rich_help_panel=SPEND)
    ] = False,
    cache: Annotated[
        Path | None,
        Flag(help="Folder of answers that were paid for. [default: the user's cache]", rich_help_panel=SPEND),
    ] = None,
    no_cache: Annotated[
        bool, Flag("--no-cache", help="Neither use nor keep answers of other runs.", rich_help_panel=SPEND)
    ] = False,
    refresh: Annotated[
        bool, Flag("--refresh", help="Ask anew what other runs have paid for.", rich_help_panel=SPEND)
    ] = False,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask a captioner about every image of DATA and keep its answers in a run folder.

    The captioner is a file (--engine) or deployed somewhere (--endpoint with --protocol). Writes records.parquet and
    generations/part-*.parquet, and repeats/part-*.parquet where there are samples or variants. An image that cannot be
    read stays a row with its reason. Stopped or killed, the same command goes on with what has no answer yet.
    """
    from m4i_fast.cli import render
    from m4i_fast.data.readers import open_records
    from m4i_fast.engines import open_captioner
    from m4i_fast.errors import ConfigError, UserError
    from m4i_fast.progress import hush
    from m4i_fast.runs import need_vacant, open_run
    from m4i_fast.stages.query import check_endpoint, query_stage
    from m4i_fast.stages.query import dry_run as dry
    from m4i_fast.stages.records import keep_stream

    hush(quiet or json)
    if (engine is None) == (endpoint is None):
        raise ConfigError(
            "two models are named" if engine else "no model is named",
            where="query",
            cure="Give --engine FILE, or --endpoint URL with --protocol.",
        )
    _refuse_idle(context, "--engine" if engine is not None else "--endpoint")
    target = engine if engine is not None else _endpoint(locals())
    settings = _settings(locals())
    need_vacant(out, own=("shadow", "heads", "split"), mark="records.parquet")
    # Looked at first: a misspelt DATA or ENGINE leaves no folder behind, and with --again all that stands in it.
    records = open_records(data, images=images, format=format)
    if dry_run:
        said = dry(records, target, settings)
        render.emit_json(said) if json else render.facts("", said)
        return
    if not isinstance(target, str):
        check_endpoint(target, settings)
    if engine is not None and (again or not out.exists()):
        with open_captioner(engine, provider=provider.value, threads=threads):
            pass
    made = not out.exists()
    try:
        with open_run(out) as run:
            keep_stream(run, records, joins=records.joins, again=again).close()
    except UserError:
        # A fault in a later row of DATA shows only here: it must leave no folder behind either.
        if made and not any(not each.name.startswith(".m4i-") for each in out.iterdir()):
            shutil.rmtree(out)
        raise
    with open_run(out) as run:
        done = query_stage(run, target, settings, again=again, refresh=refresh)
    if json:
        render.emit_json(_told(done) | {"run": str(out)})
    else:
        render.facts("", {"run": out, **_readable(_told(done))})
        print(f"next: m4i-fast overlap {out}")


MODEL = "the model"
_TIMES = {
    "read_s": "reading",
    "decode_s": "decoding",
    "infer_s": MODEL,
    "write_s": "writing",
    "wait_s": "waiting for pictures",
    "wait_write_s": "waiting for the disk",
    "held_s": "held back by the rate",
}


_OF_ENGINES = frozenset({"batch", "provider", "threads", "workers", "ray"})
_OF_BOTH = frozenset(
    {"data", "out", "engine", "endpoint", "images", "format", "samples", "augment", "dry_run", "again", "json", "quiet"}
)


def _refuse_idle(context: typer.Context, asked: str) -> None:
    """Refuse options that would do nothing: a budget that is not kept is worse than none.

    Raises:
        ConfigError: one that was given is of the other kind of captioner.
    """
    from m4i_fast.errors import ConfigError

    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    idle = given - _OF_BOTH - _OF_ENGINES if asked == "--engine" else given & _OF_ENGINES
    if idle:
        name = min(idle).replace("_", "-")
        raise ConfigError(f"--{name} does nothing with {asked}", where="query", cure="Leave it out.")


def _told(done: StageReport) -> dict[str, Any]:
    """The facts of a query; of one that had ended before, that nothing was asked now."""
    if not done.kept:
        return done.facts | {"wall_s": done.wall_s, "already_done": False}
    times = dict.fromkeys(_TIMES.keys() & done.facts.keys(), 0.0)
    now = {"asked": 0, "kept": done.facts["asked"] + done.facts["kept"], "wall_s": 0.0, "already_done": True}
    return done.facts | times | now | dict.fromkeys({"requests", "faults", "cached"} & done.facts.keys(), 0)


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a query for people: what took how long in one line, the longest first, and the model always."""
    spent = {word: facts.get(name) or 0.0 for name, word in _TIMES.items()}
    longest = sorted(spent.items(), key=lambda each: -each[1])
    line = ", ".join(f"{word} {seconds:.1f} s" for word, seconds in longest if seconds >= 0.05 or word == MODEL)
    rest = {name: value for name, value in facts.items() if name not in _TIMES}
    return rest | ({"of this (they overlap)": line} if line else {})


def _settings(given: dict[str, Any]) -> Any:
    from m4i_fast.config import convert
    from m4i_fast.errors import ConfigError
    from m4i_fast.stages.settings import QuerySettings

    batch = str(given["batch"])
    if batch != "auto" and (not batch.isdecimal() or int(batch) < 1):
        raise ConfigError(f"'{batch}' is no batch size", where="--batch", cure="Give a number of images, or auto.")
    return convert(
        {
            "provider": given["provider"].value,
            "batch": int(batch) if batch.isdecimal() else batch,
            "threads": given["threads"],
            "workers": given["workers"],
            "ray": given["ray"],
            "samples": given["samples"],
            "augment": [name.strip() for name in given["augment"].split(",") if name.strip()],
        },
        QuerySettings,
        where="query",
    )


def _endpoint(given: dict[str, Any]) -> EndpointSettings:
    import json as reader

    from m4i_fast.config import convert
    from m4i_fast.errors import ConfigError
    from m4i_fast.stages.settings import EndpointSettings

    if given["protocol"] is None:
        raise ConfigError(
            "an endpoint needs its protocol", where="--protocol", cure="One of: openai, kserve, kserve-grpc, hf."
        )
    extra: dict[str, Any] = {}
    for text in given["option"] or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ConfigError("expected KEY=JSON", where=f"--option {text}", cure="For example: --option min_length=5")
        try:
            extra[name] = reader.loads(value)
        except ValueError:
            extra[name] = value  # a bare word
    same = (
        "model",
        "prompt",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "seed",
        "qps",
        "concurrency",
        "attempts",
        "max_queries",
        "max_cost",
        "price_query",
        "price_prompt_token",
        "price_completion_token",
        "key_env",
        "private",
    )
    values = {name: given[name] for name in same if given[name] is not None}
    values |= {
        "url": given["endpoint"],
        "protocol": given["protocol"].value,
        "options": extra,
        "timeout_s": given["timeout"],
        "use_cache": not given["no_cache"],
    }
    for name in ("key_file", "cache"):
        if given[name] is not None:
            values[name] = str(given[name])
    return convert(values, EndpointSettings, where="query")
