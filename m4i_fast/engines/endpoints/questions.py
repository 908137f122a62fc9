"""What is asked of an endpoint and what comes back: the nouns that all protocols share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.endpoints.identity import ModelIdentity
from m4i_fast.errors import ConfigError

__all__ = ["DEFAULT_PROMPT", "FILES", "Endpoint", "Generation", "Picture", "Reply", "TensorNames"]

DEFAULT_PROMPT = "Describe the image in one sentence."

FILES = frozenset({"image/jpeg", "image/png", "image/webp"})
"""What every server of the protocols that take files reads; others are re-encoded by the caller."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the answers depend on beside the model and the picture.

    Attributes:
        prompt: None: ``DEFAULT_PROMPT`` for openai, none for the other protocols.
        system: the system message, or None (openai only).
        max_tokens: of an answer.
        temperature: 0: greedy.
        top_p: of nucleus sampling; None: the server's own.
        seed: of sample 0; sample k gets ``seed + k``. None: no seed is sent.
        options: sent as they are: into the body (openai) or the parameters (hf, kserve). They win over the fields
            above; a value of None takes a field away.

    Raises:
        ConfigError: an option sets the temperature or top_p, whose fields say whether answers are drawn: who looks
            whether the model is the same, and the cache, go by them.
    """

    prompt: str | None = None
    system: str | None = None
    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p"):
            if self.options.get(name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise ConfigError(f"'{name}' has an option of its own", where="--option", cure=f"Give {flag}.")

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "prompt": self.prompt,
            "system": self.system,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "options": dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to ask about.

    Attributes:
        content: an encoded image file; b"" where the endpoint wants pixels.
        media_type: of ``content``, one of the endpoint's ``media_types``.
        pixels: uint8 [S, S, 3], S the endpoint's ``image_size``; None where it wants files.
        sample: which answer to this picture; 0 is the first.
    """

    content: bytes
    media_type: str = "image/jpeg"
    pixels: npt.NDArray[np.uint8] | None = None
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one picture.

    Attributes:
        text: as the model gave it, lone surrogates replaced by U+FFFD; "" where ``error`` is set.
        error: why there is none, finally: asking again would give the same.
        tokens: ids, where the endpoint gives them.
        log_probs: natural, one a token, where the endpoint gives them.
        finish_reason: the server's word: stop, length, ...
        model: that answered, in the server's words.
        version: of that model.
        fingerprint: of the machine or build that answered.
        request_id: the server's own, for its owner's log.
        prompt_tokens: as the server counts them.
        completion_tokens: likewise.
    """

    text: str
    error: str | None = None
    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] | None = None
    finish_reason: str | None = None
    model: str | None = None
    version: str | None = None
    fingerprint: str | None = None
    request_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TensorNames:
    """Which tensors of a KServe model are meant, where its metadata leaves a choice."""

    image_input: str | None = None
    prompt_input: str | None = None
    text_output: str | None = None


@runtime_checkable
class Endpoint(Protocol):
    """A deployed captioner, as ``open_endpoint`` gives it."""

    @property
    def identity(self) -> ModelIdentity:
        """Who answers, as far as the endpoint tells."""
        ...

    @property
    def wants(self) -> Literal["file", "pixels"]:
        """What a ``Picture`` must hold."""
        ...

    @property
    def image_size(self) -> int | None:
        """Height and width of the pixels; None where files are wanted."""
        ...

    @property
    def rows(self) -> int:
        """Pictures a request, at most."""
        ...

    @property
    def alone(self) -> int:
        """Pictures that were sent once more, each by itself, because the server refused several at once."""
        ...

    @property
    def media_types(self) -> frozenset[str]:
        """Files that may be sent as they are; empty where pixels are wanted."""
        ...

    async def ask(self, pictures: Sequence[Picture], *, request_id: str) -> list[Reply]:
        """One attempt at 1 to ``rows`` pictures: a reply for each, in order.

        Raises:
            Busy: it may pass; ask again.
            EndpointError: it will not: the run ends.
        """
        ...
