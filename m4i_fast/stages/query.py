"""Steps 2 and 3: the captioner's answer to every picture of a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import DataError, EngineError
from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.settings import EndpointSettings, QuerySettings
from m4i_fast.types import Record

if TYPE_CHECKING:
    from m4i_fast.query import QueryReport

__all__ = ["check_endpoint", "dry_run", "query_stage"]


def query_stage(
    run: Run, target: str | EndpointSettings, settings: QuerySettings, *, again: bool = False, refresh: bool = False
) -> StageReport:
    """Write ``generations/part-*.parquet``; a run that was cut off goes on with what has no answer yet.

    Args:
        run: the open run; holds ``records.parquet``.
        target: the path of an engine, or an endpoint.
        settings: how it is asked.
        again: forget the answers that stand there.
        refresh: pay again for what earlier runs have paid for.

    Raises:
        EngineError, EndpointError: the model cannot be asked so, or gives no usable answer to any image.
        RunError: the run holds answers of another model or other records.
        DataError: not one image can be read: a wrong folder, not some broken files.
    """
    where = target if isinstance(target, str) else _shown_url(target.url)
    asked = {"samples": settings.samples, "augment": list(settings.augment)}
    if isinstance(target, str):
        path = Path(target)
        if not path.is_file():
            from m4i_fast.engines import open_captioner

            with open_captioner(target):  # raises with what is wrong with it: absent, a URL, a folder
                pass
        inputs = {"engine": path}
        asked |= {"provider": settings.provider, "batch": settings.batch}
    else:
        inputs = {}
        asked |= {"endpoint": _what_answers_depend_on(target)}
    records = run.need("records.parquet", made_by=f"m4i-fast query DATA --engine ENGINE --out {run.root}")
    return stage(
        run,
        "query",
        settings=asked,
        inputs=inputs | {"records": records},
        outputs=["generations", *(["repeats"] if settings.samples > 1 or settings.augment else [])],
        work=lambda: _query(run, where, target, settings, again, refresh),
        again=again,
    )


def _query(
    run: Run, where: str, target: str | EndpointSettings, settings: QuerySettings, again: bool, refresh: bool
) -> dict[str, Any]:
    from m4i_fast.engines.protocol import MODEL_GAVE
    from m4i_fast.query import Asks
    from m4i_fast.query.parts import clear_parts
    from m4i_fast.query.records import FiledRecords
    from m4i_fast.stages.join import generations_of

    records = FiledRecords(run.path("records.parquet"))
    asks = Asks(settings.augment, settings.samples)
    if isinstance(target, str):
        from m4i_fast.query import query

        report = query(
            run,
            records,
            target,
            batch=settings.batch,
            provider=settings.provider,
            threads=settings.threads,
            workers=settings.workers,
            ray=settings.ray,
            asks=asks,
            again=again,
        )
    else:
        report = _query_endpoint(run, records, target, asks, again=again, refresh=refresh)
    if report.errors == report.rows:
        first = records.block(0, len(records))
        reasons = [str(error) for error in generations_of(run, first).errors]
        at_model = [reason for reason in reasons if reason.startswith((MODEL_GAVE, "the endpoint"))]
        if not at_model or isinstance(target, str):
            clear_parts(run)  # not one answer in them
        if at_model:
            raise EngineError(
                f"not one of {report.rows} images got a usable answer; the first: {at_model[0]}",
                where=where,
                cure="Export the engine again with: m4i-fast export"
                if isinstance(target, str)
                # What stands was paid, and counts: it goes with --again only.
                else "Look at --prompt, --model, --max-tokens and --option, then begin anew with --again.",
            )
        raise DataError(
            f"not one of {report.rows} images can be read; the first: {reasons[0]}",
            where=first[0].image,
            cure="Check the paths in DATA, or give the folder of the images with --images.",
        )
    return report.facts()


def _query_endpoint(
    run: Run, records: Any, target: EndpointSettings, asks: Any, *, again: bool, refresh: bool
) -> QueryReport:
    from m4i_fast.query.cache import default_folder
    from m4i_fast.query.endpoint import query_endpoint
    from m4i_fast.query.remote import Manners

    cache = Path(target.cache) if target.cache else default_folder()
    return query_endpoint(
        run,
        records,
        endpoint_address(target),
        generation=endpoint_generation(target),
        asks=asks,
        manners=Manners(
            qps=_qps(target),
            concurrency=target.concurrency,
            attempts=target.attempts,
            canary_every=target.canary_every,
        ),
        allowance=_allowance(target),
        cache=cache if target.use_cache else None,
        refresh=refresh,
        again=again,
    )


def check_endpoint(target: EndpointSettings, settings: QuerySettings) -> None:
    """Look for faults that can be found without asking anybody, before anything is written or trained.

    Raises:
        ConfigError, EndpointError, EngineError: what is asked for cannot be, or the key cannot be read.
        ExtraMissing: the client's package is not installed.
    """
    from m4i_fast.extras import require
    from m4i_fast.query import Asks
    from m4i_fast.query.endpoint import need_drawn

    generation = endpoint_generation(target)
    need_drawn(Asks(settings.augment, settings.samples), generation, where=_shown_url(target.url))
    _allowance(target).budget(max_tokens=generation.max_tokens)
    endpoint_address(target)
    package, extra = ("grpc", "grpc") if target.protocol == "kserve-grpc" else ("httptools", "endpoint")
    require(package, why="asking an endpoint", extra=extra)


def dry_run(records: Iterable[Record], target: str | EndpointSettings, settings: QuerySettings) -> dict[str, Any]:
    """What a query would ask of a fresh run, and what it may cost at most; nothing is sent.

    ``images_found`` are those that are there, as far as can be told without fetching; ``bytes`` those of files. Tokens
    of a prompt are not known before they are counted, and neither are failed attempts nor answers that a cache holds.

    Raises:
        ConfigError, EndpointError: what is asked for cannot be.
    """
    from m4i_fast.query import Asks

    count = found = size = 0
    for record in records:
        count += 1
        length = _length(record)
        if length is not None:
            found, size = found + 1, size + length
    asks = len(Asks(settings.augment, settings.samples))
    said: dict[str, Any] = {"records": count, "images_found": found, "queries": found * asks, "bytes": size * asks}
    if isinstance(target, str):
        return said
    from m4i_fast.query.canary import canary_queries

    rate = _qps(target)
    said["canary_queries"] = canary_queries(said["queries"], target.canary_every) if found else 0
    queries = said["queries"] + said["canary_queries"]
    each = target.price_query + target.max_tokens * target.price_completion_token
    return said | {
        "to": _shown_url(target.url),
        "seconds_at_least": None if rate is None else queries / rate,
        "completion_tokens_at_most": queries * target.max_tokens,
        "cost_at_most_without_prompts": queries * each,
        "allowed_queries": target.max_queries,
        "allowed_cost": target.max_cost,
    }


def _length(record: Record) -> int | None:
    """Bytes of an image; 0 where it lies in a store; None where there is none."""
    from m4i_fast.data.locators import is_local_file

    if record.error is not None:
        return None
    if not is_local_file(record.image):
        return 0
    try:
        return Path(record.image).stat().st_size
    except (OSError, ValueError):
        return None


def endpoint_address(target: EndpointSettings) -> Any:
    """Where the endpoint is, with its key.

    Raises:
        ConfigError: two keys are named, or the one that is named cannot be read.
    """
    from m4i_fast.engines.endpoints import Secret, TensorNames
    from m4i_fast.errors import ConfigError
    from m4i_fast.query.endpoint import Address

    if target.key_env and target.key_file:
        raise ConfigError("two keys are named", where="key", cure="Give --key-env or --key-file.")
    key = None
    if target.key_env:
        key = Secret.from_environment(target.key_env)
    elif target.key_file:
        key = Secret.from_file(target.key_file)
    return Address(
        target.url,
        target.protocol,
        target.model,
        key,
        target.private,
        target.timeout_s,
        target.rows,
        target.image_size,
        TensorNames(target.image_input, target.prompt_input, target.text_output),
    )


def endpoint_generation(target: EndpointSettings) -> Any:
    """What the endpoint is asked to do with a picture."""
    from m4i_fast.engines.endpoints import Generation

    return Generation(
        target.prompt,
        target.system,
        target.max_tokens,
        target.temperature,
        target.top_p,
        target.seed,
        target.options,
    )


def _allowance(target: EndpointSettings) -> Any:
    from m4i_fast.query.account import Allowance

    return Allowance(
        target.max_queries,
        target.max_cost,
        target.price_query,
        target.price_prompt_token,
        target.price_completion_token,
    )


def _shown_url(url: str) -> str:
    from m4i_fast.engines.endpoints import place_of

    shown: str = place_of(url).shown  # its query may hold what nobody should read
    return shown


def _qps(target: EndpointSettings) -> float | None:
    from m4i_fast.engines.endpoints import is_loopback
    from m4i_fast.query.remote import Manners

    if target.qps is not None:
        return target.qps or None
    return None if is_loopback(target.url) else Manners().qps


def _what_answers_depend_on(target: EndpointSettings) -> dict[str, Any]:
    names = ("protocol", "model", "image_size", "image_input", "prompt_input", "text_output")
    named: dict[str, Any] = {name: getattr(target, name) for name in names}
    generation: dict[str, Any] = endpoint_generation(target).to_json()
    return named | {"url": _shown_url(target.url)} | generation
