"""Deployed captioners: four protocols behind one question, with every guard that a stranger's server needs.

Opening asks the server who it is; ``ask`` makes one attempt. When to ask, how fast, and what to do after a ``Busy`` is
the caller's business (``m4i_fast.query.pacing``). ``event_loop`` makes the loop to do it in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, TypeVar, get_args

from m4i_fast.engines.endpoints.addresses import is_loopback, place_of
from m4i_fast.engines.endpoints.faults import Busy, without_frames
from m4i_fast.engines.endpoints.identity import ModelIdentity, Witness
from m4i_fast.engines.endpoints.kserve_model import Decode
from m4i_fast.engines.endpoints.questions import Endpoint, Generation, Picture, Reply, TensorNames
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.engines.endpoints.transport import event_loop
from m4i_fast.errors import EndpointError

__all__ = [
    "PROTOCOLS",
    "Busy",
    "Endpoint",
    "Generation",
    "ModelIdentity",
    "Picture",
    "Protocol",
    "Reply",
    "Secret",
    "TensorNames",
    "Witness",
    "event_loop",
    "is_loopback",
    "open_endpoint",
    "place_of",
]

Protocol = Literal["openai", "kserve", "kserve-grpc", "hf"]
PROTOCOLS: tuple[str, ...] = get_args(Protocol)

_Opened = TypeVar("_Opened")


@asynccontextmanager
async def open_endpoint(
    url: str,
    *,
    protocol: Protocol,
    model: str | None = None,
    generation: Generation | None = None,
    key: Secret | None = None,
    private: bool = False,
    timeout_s: float = 120.0,
    connections: int = 256,
    names: TensorNames | None = None,
    rows: int = 8,
    image_size: int | None = None,
    decode: Decode | None = None,
    patience_s: float = 30.0,
) -> AsyncIterator[Endpoint]:
    """Open a deployed captioner.

    Args:
        url: http or https, without credentials. Sent to where it says and nowhere else.
        protocol: openai, kserve, kserve-grpc or hf.
        model: its name there; None: the only one that the server has.
        generation: how to answer; None: greedily.
        key: sent as a bearer token; over http only to this machine.
        private: addresses that are not public are allowed.
        timeout_s: for one attempt in all, from the connection to the last byte.
        connections: open at once, at most.
        names: which tensors are meant (kserve) where there is a choice.
        rows: pictures a request, at most (kserve, where the model takes several).
        image_size: of the pixels (kserve, where the model takes any).
        decode: makes text of tokens (kserve, where the model gives no text).
        patience_s: how long to try to reach the server at first.

    Raises:
        EndpointError: it cannot be asked as wanted, or not be reached within ``patience_s``.
        ExtraMissing: the protocol's package is not installed.
    """
    if protocol not in PROTOCOLS:
        raise EndpointError(f"no protocol '{protocol}' is known", cure=f"Use one of: {', '.join(PROTOCOLS)}.")
    place = place_of(url)
    asked = generation or Generation()
    if protocol.startswith("kserve") and asked.system is not None:
        raise EndpointError("KServe has no system message", where="--system", cure="Leave it out, or use openai.")
    about: dict[str, Any] = {"model": model, "generation": asked}
    tensors: dict[str, Any] = {
        "names": names or TensorNames(),
        "rows": rows,
        "image_size": image_size,
        "decode": decode,
    }
    async with AsyncExitStack() as stack:
        if protocol == "kserve-grpc":
            from m4i_fast.engines.endpoints.kserve_grpc import open_channel, open_kserve_grpc

            channel = await _patiently(
                lambda: stack.enter_async_context(open_channel(place, key=key, private=private, timeout_s=timeout_s)),
                place.shown,
                patience_s,
            )
            endpoint: Endpoint = await _patiently(
                lambda: open_kserve_grpc(channel, **about, **tensors), place.shown, patience_s
            )
        else:
            from m4i_fast.engines.endpoints.hf import open_hf
            from m4i_fast.engines.endpoints.kserve import open_kserve
            from m4i_fast.engines.endpoints.openai import open_openai
            from m4i_fast.engines.endpoints.transport import open_transport

            transport = await stack.enter_async_context(
                open_transport(place, key=key, private=private, timeout_s=timeout_s, connections=connections)
            )
            if protocol == "hf":
                endpoint = open_hf(transport, **about)
            elif protocol == "openai":
                endpoint = await _patiently(lambda: open_openai(transport, **about), place.shown, patience_s)
            else:
                endpoint = await _patiently(lambda: open_kserve(transport, **about, **tensors), place.shown, patience_s)
        yield endpoint


async def _patiently(attempt: Callable[[], Awaitable[_Opened]], where: str, patience_s: float) -> _Opened:
    """Try until it works: a server may be starting just now."""
    until = time.monotonic() + patience_s
    wait_s = 0.25
    opened = without_frames(attempt)
    while True:
        try:
            return await opened()
        except Busy as fault:
            what, asked_s = fault.what, fault.retry_after_s
        wait_s = min(2 * wait_s, 8.0)
        if time.monotonic() + max(wait_s, asked_s or 0.0) > until:
            raise EndpointError(what, where=where, cure="Check that the endpoint runs, its URL and its protocol.")
        await asyncio.sleep(max(wait_s, asked_s or 0.0))
