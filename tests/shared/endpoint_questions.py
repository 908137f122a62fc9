"""Asking an endpoint of the tests: what each protocol says at its opening and as a good answer."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from hostile_endpoint import Answer, Asked

from m4i_fast.engines.endpoints import Picture, Reply, Witness, event_loop, open_endpoint

JPEG = bytes(range(256)) * 4
"""Not a JPEG: every byte value, to be sent as it is."""

HTTP = ("openai", "hf", "kserve")
PATHS = {"openai": "/v1", "hf": "/models/tiny", "kserve": ""}


def said(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An answer in JSON."""
    return Answer(status, [json.dumps(value).encode()], [("Content-Type", "application/json"), *headers])


METADATA = {
    "name": "tiny",
    "versions": ["3"],
    "platform": "python",
    "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "caption", "datatype": "BYTES", "shape": [-1]}],
}


def opening(protocol: str, asked: Asked) -> Answer | None:
    """What a good server says at the opening; None for a question about a picture."""
    if asked.target == "/v1/models":
        return said({"data": [{"id": "tiny"}]})
    if protocol == "kserve" and not asked.target.endswith("/infer"):
        if asked.target == "/v2":
            return said({"name": "tests", "extensions": []})
        return said(METADATA if asked.target == "/v2/models/tiny" else {})
    return None


def good(protocol: str, text: str = "a dog", **more: Any) -> Answer:
    """A good answer to one picture."""
    if protocol == "openai":
        message = {"role": "assistant", "content": text}
        return said({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more})
    if protocol == "hf":
        return said([{"generated_text": text}])
    output = {"name": "caption", "datatype": "BYTES", "shape": [1], "data": [text]}
    return said({"model_name": "tiny", "model_version": "3", "outputs": [output], **more})


def script(protocol: str, *answers: Answer) -> Callable[[Asked], Answer]:
    """A good opening, then the answers one by one, the last again and again."""
    given = list(answers)

    def answer(asked: Asked) -> Answer:
        return opening(protocol, asked) or (given.pop(0) if len(given) > 1 else given[0])

    return answer


def ask(
    url: str,
    protocol: Any,
    pictures: Sequence[Picture] = (Picture(JPEG),),
    *,
    times: int = 1,
    witness: Witness | None = None,
    **settings: Any,
) -> list[Reply]:
    """Open, ask ``times`` times, close; all replies. A change that ``witness`` sees is an AssertionError."""
    settings = {"private": True, "patience_s": 0.0, "timeout_s": 5.0, "model": "tiny", **settings}

    async def run() -> list[Reply]:
        found: list[Reply] = []
        base, _, query = url.partition("?")
        where = base.rstrip("/") + PATHS.get(protocol, "") + (f"?{query}" if query else "")
        async with open_endpoint(where, protocol=protocol, **settings) as endpoint:
            for number in range(times):
                replies = await endpoint.ask(pictures, request_id=f"q{number}")
                assert len(replies) == len(pictures)
                for reply in replies if witness is not None else ():
                    assert witness is not None
                    changed = witness.change(reply)
                    assert changed is None, changed
                found += replies
        return found

    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(run())
