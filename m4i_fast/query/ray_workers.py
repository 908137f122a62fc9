"""One query answered by actors of a Ray cluster: each holds an engine and answers whole parts.

Parts are what is dealt out: an actor reads their records from shared storage and writes their files there, whole or
not at all. The ledger stays with the driver, which alone says what is done; so a worker, a node or the driver may die
at any moment, and what is lost is the parts that were under way.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from m4i_fast.errors import ConfigError, RunFailed
from m4i_fast.extras import require
from m4i_fast.query.ledger import Answer, Ledger, Said
from m4i_fast.query.local import Clock, answers_of, careful_batches
from m4i_fast.query.plan import Plan
from m4i_fast.query.workers import Opening
from m4i_fast.query.writing import write_part

__all__ = ["answer_by_ray"]

KNOCK_S = 10.0
"""How long a cluster may take to accept a connection."""

THIS_MACHINE = "local"
"""The address that starts a cluster of this machine alone, for the length of the query."""


def answer_by_ray(
    address: str,
    actors: int,
    opening: Opening,
    plan: Plan,
    ledger: Ledger,
    size: int,
    *,
    advance: Callable[[int, str], object],
) -> Clock:
    """Answer all parts that do not stand yet; returns when every file is written.

    Args:
        address: of the cluster; ``auto``: the one that this machine belongs to; ``local``: one of this machine alone.
        actors: engines at work.
        opening: how each opens its engine; its path must be the same on every node.
        plan: of the query; the run's folder must lie on storage that all nodes share.
        ledger: of the run, open in this thread.
        size: pictures a batch.
        advance: told how many questions are done, and a note, after each part.

    Raises:
        ConfigError: there is no such cluster, or it has no room for the actors.
        RunFailed: an actor failed at its part again and again.
    """
    ray = require("ray", why="answering by a Ray cluster", extra="ray")
    data = require("ray.data", why="answering by a Ray cluster", extra="ray")

    clock = Clock()
    started = not ray.is_initialized()
    if started:
        _connect(ray, address)
    try:
        left = [{"part": part.index} for part in plan.parts if not part.stands]
        held = ray.put((opening, plan, size))
        _hush(ray)
        done = (
            data.from_items(left, override_num_blocks=len(left))
            .map_batches(
                _Actor,
                fn_constructor_args=(held,),
                batch_size=1,
                batch_format="numpy",
                compute=data.ActorPoolStrategy(size=actors),
                num_cpus=opening.threads or 1,
                num_gpus=0 if opening.provider == "cpu" else 1,
            )
            .iter_rows()
        )
        for row in done:
            outcome = msgspec.msgpack.decode(row["outcome"], type=_Outcome)
            part = plan.parts[outcome.index]
            if outcome.errors is not None:
                ledger.adopt(part.index, part.first, part.last, outcome.sha256, errors=outcome.errors)
            clock.add(outcome.clock)
            advance(part.questions, f"{actors} actors")
    except ray.exceptions.RayError as error:
        raise RunFailed(
            f"the Ray cluster failed ({_first_line(error)})",
            where=address,
            cure="What was finished is kept; run the same command again when the cluster is up.",
        ) from error
    finally:
        if started:
            ray.shutdown()
    return clock


@dataclass(frozen=True, slots=True)
class _Outcome:
    index: int
    errors: int | None
    sha256: list[bytes | None]
    clock: Clock


class _Actor:
    """Lives on a worker; opens its engine once, and keeps it for all parts that it is dealt."""

    def __init__(self, held: Any) -> None:
        import ray

        from m4i_fast.engines import open_captioner
        from m4i_fast.progress import hush

        hush()
        opening, self._plan, self._size = ray.get(held)
        self._threads = opening.decode_threads
        self._engine = open_captioner(
            opening.engine,
            provider=opening.provider,
            threads=opening.threads,
            allow_fallback=opening.allow_fallback,
        )
        self._captioner = self._engine.__enter__()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"outcome": [msgspec.msgpack.encode(self._answer(int(index))) for index in batch["part"]]}

    def _answer(self, index: int) -> _Outcome:
        clock = Clock()
        answers: list[Answer] = []
        part = self._plan.parts[index]
        numbers = self._plan.ranges(part, self._size)
        for fed, said in careful_batches(self._captioner, self._plan, numbers, clock, threads=self._threads):
            answers += answers_of(fed, said)
        if len(answers) < part.questions:  # a store did not give some of the pictures; the part stays to be done
            return _Outcome(index, None, [], clock)
        whole = Said(
            tuple(each.text for each in answers),
            tuple(each.tokens for each in answers),
            tuple(each.log_probs for each in answers),
            tuple(each.error for each in answers),
        )
        errors = write_part(self._plan, part, whole)
        return _Outcome(index, errors, [each.image_sha256 for each in answers], clock)


def _connect(ray: Any, address: str) -> None:
    try:
        _knock(address)
        ray.init(
            address=None if address == THIS_MACHINE else address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster answers at '{address}' ({_first_line(error)})",
            where="--ray",
            cure="Start one with: ray start --head (then --ray auto), or take --ray local.",
        ) from error


def _hush(ray: Any) -> None:
    """Our own bar tells what there is to tell."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _knock(address: str) -> None:
    """Ray itself would try for minutes to reach a place where nobody is."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[-1][:300] if text else type(error).__name__
