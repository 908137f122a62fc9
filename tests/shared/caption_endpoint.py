"""An endpoint of the tests' own that captions: what it says is a function of the bytes that it is sent.

It can be told to misbehave, request by request, and what it was asked can be read off its log.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from endpoint_questions import PATHS, opening, said
from hostile_endpoint import Answer, Asked, HostileEndpoint, hostile_endpoint

from m4i_fast.engines.endpoints import Generation
from m4i_fast.query.account import Allowance
from m4i_fast.query.endpoint import Address, query_endpoint
from m4i_fast.query.remote import Manners
from m4i_fast.query.runner import QueryReport
from m4i_fast.runs import open_run
from m4i_fast.tables import read_generations
from m4i_fast.types import Generations, Record

THINGS = ("dog", "cat", "boat", "tree", "lamp", "kite", "drum")


class Query(NamedTuple):
    """One picture that was asked about."""

    request_id: str
    content: bytes
    temperature: float
    seed: int | None
    at: float

    @property
    def looks(self) -> bool:
        """Whether it only looks if the model is the same."""
        return "-canary-" in self.request_id or "-cache-" in self.request_id


def caption_of(content: bytes, draw: object = "") -> str:
    """What is said of a picture; ``draw``: whatever else it depends on."""
    digest = hashlib.sha256(content + repr(draw).encode()).digest()
    return f"a {THINGS[digest[0] % len(THINGS)]} and {digest.hex()[:8]}"


@dataclass
class Captions:
    """Answers a protocol. ``rule``: may answer in its place, told the request and how many questions came before it."""

    protocol: str = "hf"
    rule: Callable[[Asked, int], Answer | None] | None = None
    delay_s: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)
    draw: Any = ""
    asked: int = 0

    def __call__(self, asked: Asked) -> Answer:
        opened = opening(self.protocol, asked)
        if opened is not None:
            return opened
        number, self.asked = self.asked, self.asked + 1
        ruled = None if self.rule is None else self.rule(asked, number)
        return ruled or self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        """The right answer."""
        texts = [
            caption_of(each.content, (self.draw, each.seed) if each.temperature else self.draw)
            for each in queries_of(self.protocol, asked)
        ]
        if self.protocol == "openai":
            message = {"role": "assistant", "content": texts[0]}
            usage = {"prompt_tokens": 10, "completion_tokens": 4}
            body: Any = {
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
                **self.about,
            }
        elif self.protocol == "hf":
            body = [{"generated_text": texts[0]}]
        else:
            output = {"name": "caption", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
            body = {"model_name": "tiny", "model_version": "3", "outputs": [output], **self.about}
        good = said(body)
        return Answer(good.status, [self.delay_s, *good.pieces] if self.delay_s else good.pieces, good.headers)


def queries_of(protocol: str, asked: Asked) -> list[Query]:
    """The pictures of a request; none where it is no question about any."""
    if asked.method != "POST":
        return []
    request_id = asked.headers.get("x-request-id", "")
    if protocol == "hf":
        if asked.headers["content-type"] != "application/json":
            return [Query(request_id, asked.body, 0.0, None, asked.at)]
        body = json.loads(asked.body)
        how = body["parameters"]
        return [
            Query(request_id, base64.b64decode(body["inputs"]), how.get("temperature", 0.0), how.get("seed"), asked.at)
        ]
    body = json.loads(asked.body)
    if protocol == "openai":
        (image,) = (part for part in body["messages"][-1]["content"] if part["type"] == "image_url")
        content = base64.b64decode(image["image_url"]["url"].partition(",")[2])
        return [Query(request_id, content, body["temperature"], body.get("seed"), asked.at)]
    (tensor,) = body["inputs"]
    return [Query(body.get("id", request_id), base64.b64decode(each), 0.0, None, asked.at) for each in tensor["data"]]


@dataclass
class Served:
    """A running endpoint and its captions."""

    http: HostileEndpoint
    captions: Captions

    @property
    def url(self) -> str:
        """As its protocol wants it."""
        return self.http.url + PATHS[self.captions.protocol]

    @property
    def queries(self) -> list[Query]:
        """All pictures that came, in order."""
        return [each for asked in list(self.http.log) for each in queries_of(self.captions.protocol, asked)]

    @property
    def questions(self) -> list[Query]:
        """The same without those that only look."""
        return [each for each in self.queries if not each.looks]

    def twice(self) -> int:
        """Queries beyond the first at the same question of a run."""
        return sum(count - 1 for count in Counter(each.request_id.split("-")[2] for each in self.questions).values())


@contextmanager
def caption_endpoint(protocol: str = "hf", **settings: Any) -> Iterator[Served]:
    """Run one on a free port of 127.0.0.1."""
    captions = Captions(protocol, **settings)
    with hostile_endpoint(captions) as http:
        yield Served(http, captions)


MANNERS = Manners(qps=None, attempts=4, canary_every=0)


def ask(
    root: Path,
    records: list[Record],
    served: Served | str,
    *,
    protocol: Any = None,
    manners: Manners = MANNERS,
    address: dict[str, Any] | None = None,
    **settings: Any,
) -> QueryReport:
    """Ask an endpoint in the run at ``root``: gently by the tests' measure, with parts of 8 records."""
    url, kind = (served, protocol) if isinstance(served, str) else (served.url, served.captions.protocol)
    where = Address(url, kind, **{"model": "tiny", "private": True, "timeout_s": 5.0, **(address or {})})
    with open_run(root) as run:
        return query_endpoint(run, records, where, manners=manners, **{"threads": 1, "part_rows": 8, **settings})


def parts(root: Path, folder: str = "generations") -> dict[str, bytes]:
    """The parts of a run by name, as bytes."""
    return {path.name: path.read_bytes() for path in sorted((root / folder).glob("part-*.parquet"))}


def generations(root: Path) -> Generations:
    """All answers of a run."""
    return read_generations(sorted((root / "generations").glob("part-*.parquet")))


def expected(records: list[Record], draw: object = "") -> list[str]:
    """What a calm endpoint says of them."""
    return [caption_of(Path(record.image).read_bytes(), draw) for record in records]


__all__ = [
    "MANNERS",
    "Allowance",
    "Captions",
    "Generation",
    "Query",
    "Served",
    "ask",
    "caption_endpoint",
    "caption_of",
    "expected",
    "generations",
    "parts",
    "queries_of",
]
