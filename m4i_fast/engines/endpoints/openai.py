"""OpenAI's chat completions: vLLM, SGLang, Ollama, and hosted models.

The picture goes as a data URL in the user's message, its bytes as they are.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any, Literal

from m4i_fast.engines.endpoints.faults import Busy, Refused, clean, without_frames
from m4i_fast.engines.endpoints.identity import ModelIdentity
from m4i_fast.engines.endpoints.questions import DEFAULT_PROMPT, FILES, Generation, Picture, Reply
from m4i_fast.engines.endpoints.replies import (
    NOT_FINITE,
    count_of,
    json_of,
    listed_log_probs,
    malformed,
    refuse_error_body,
    word,
)
from m4i_fast.engines.endpoints.transport import Answer, Transport, base64_encoder
from m4i_fast.engines.protocol import MODEL_GAVE
from m4i_fast.errors import EndpointError

__all__ = ["OpenAIEndpoint", "open_openai"]

_CHAT = "/chat/completions"

_OURS = frozenset({"model", "messages", "stream", "n"})
"""Fields that an option may not change: the answers would belong to another question, or be none."""


class OpenAIEndpoint:
    """Asks one picture a request. Made by ``open_openai``."""

    wants: Literal["file", "pixels"] = "file"
    image_size: int | None = None
    rows = 1
    alone = 0
    media_types = FILES

    def __init__(self, transport: Transport, path: str, identity: ModelIdentity, generation: Generation) -> None:
        self.identity = identity
        self._transport = transport
        self._path = path
        self._encode = base64_encoder()
        self._seed = None if "seed" in generation.options else generation.seed
        before, after = _around(identity.model, generation)
        self._before = {each: before + f"data:{each};base64,".encode() for each in FILES}
        self._after = after

    @without_frames
    async def ask(self, pictures: Sequence[Picture], *, request_id: str) -> list[Reply]:
        """One attempt at one picture.

        Raises:
            Busy, EndpointError: see ``Endpoint``.
        """
        (picture,) = pictures
        encoded = self._encode(picture.content)
        end = self._after if self._seed is None else b'%s,"seed":%d}' % (self._after[:-1], self._seed + picture.sample)
        body = b"".join((self._before[picture.media_type], encoded, end))
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
        try:
            return [self._reply(await self._transport.post(self._path, body, headers))]
        except Refused as refused:
            return [Reply("", error=refused.what)]

    def _reply(self, answer: Answer) -> Reply:
        content = json_of(answer.body)
        key = self._transport.key
        refuse_error_body(content, where=self.identity.url, key=key)
        try:
            choices = content["choices"]
            if len(choices) != 1:
                raise Busy(f"the endpoint gave {len(choices)} answers to one picture", status=200)
            choice = choices[0]
            message = choice["message"]
            said = message.get("content")
            text = _joined(said) if isinstance(said, list) else said
            usage = content.get("usage") or {}
            rates = _rates(choice.get("logprobs"))
            about: dict[str, Any] = {
                "finish_reason": word(choice.get("finish_reason")),
                "model": word(content.get("model")),
                "fingerprint": word(content.get("system_fingerprint")),
                "request_id": word(answer.headers.get("x-request-id")) or word(content.get("id")),
                "prompt_tokens": count_of(usage.get("prompt_tokens")),
                "completion_tokens": count_of(usage.get("completion_tokens")),
            }
            refusal = message.get("refusal")
        except (LookupError, TypeError, AttributeError):
            about, text, rates, refusal = {}, 0, None, None
        if text is not None and not isinstance(text, str):
            raise malformed("there is no choices[0].message.content")
        for name in ("finish_reason", "model", "fingerprint", "request_id"):
            if about[name] is not None:
                about[name] = clean(about[name], key)
        if not text and isinstance(refusal, str) and refusal:
            return Reply("", error=f"{MODEL_GAVE} a refusal: {clean(refusal[:200], key)}", **about)
        if text is None:
            reason = f" (finish_reason: {about['finish_reason']})" if about["finish_reason"] else ""
            return Reply("", error=f"{MODEL_GAVE} no text{reason}", **about)
        if rates is not None:
            about["log_probs"] = listed_log_probs(rates)
            if about["log_probs"] is None:
                return Reply("", error=NOT_FINITE, **about)
        return Reply(clean(text, key), **about)


async def open_openai(transport: Transport, *, model: str | None, generation: Generation) -> OpenAIEndpoint:
    """Find the model, and check that this can be asked at all.

    Raises:
        Busy: the endpoint cannot be reached now.
        EndpointError: the server lists not exactly one model and none was named; an option cannot be passed on.
    """
    wrong = sorted(_OURS & set(generation.options))
    if wrong:
        raise EndpointError(f"the option '{wrong[0]}' is the tool's own", where="--option", cure="Leave it out.")
    base = transport.place.path.removesuffix(_CHAT)
    if base == transport.place.path and not base.endswith("/v1"):
        base += "/v1"
    listed = await _listed(transport, base, named=model is not None)
    if model is None:
        if len(listed) != 1:
            names = ", ".join(sorted(listed)[:10]) or "none"
            raise EndpointError(
                f"the endpoint lists {len(listed)} models ({names})",
                where=transport.place.shown,
                cure="Say which one with --model.",
            )
        (model,) = listed
    identity = ModelIdentity("openai", transport.place.origin + base, model, version=listed.get(model))
    return OpenAIEndpoint(transport, base + _CHAT, identity, generation)


async def _listed(transport: Transport, base: str, *, named: bool) -> dict[str, str | None]:
    """Models by name, each with what it is made of (vLLM's ``root``); none where the server tells none."""
    try:
        content = json_of((await transport.get(f"{base}/models")).body)
        entries = [each for each in content["data"] if isinstance(each, dict) and word(each.get("id"))]
    except Refused:
        return {}
    except EndpointError as error:
        # Some hosted models let a key ask and not list. A wrong key shows at the first question.
        if "HTTP 401" in error.what or not (named or "HTTP 404" in error.what or "HTTP 405" in error.what):
            raise
        return {}
    except Busy as fault:
        if fault.status not in {200, 501}:  # no list, and that will not pass
            raise
        return {}
    except (LookupError, TypeError):
        return {}
    key = transport.key
    roots = {clean(each["id"], key): word(each.get("root")) for each in entries}
    return {name: clean(root, key) if root and root != name else None for name, root in roots.items()}


def _around(model: str, generation: Generation) -> tuple[bytes, bytes]:
    """The body up to where the picture's data URL goes, and from there on; the seed is put in front of its brace."""
    mark = secrets.token_hex(16)
    parts = [
        {"type": "text", "text": DEFAULT_PROMPT if generation.prompt is None else generation.prompt},
        {"type": "image_url", "image_url": {"url": mark}},
    ]
    messages: list[dict[str, Any]] = [{"role": "user", "content": parts}]
    if generation.system is not None:
        messages.insert(0, {"role": "system", "content": generation.system})
    fields: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": generation.max_tokens,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "stream": False,
        **generation.options,
    }
    body = json.dumps({name: value for name, value in fields.items() if value is not None}, separators=(",", ":"))
    before, after = body.split(mark)
    return before.encode(), after.encode()


def _joined(parts: list[Any]) -> str | None:
    """The text of a content that comes in parts; None where no part holds any."""
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts) if texts else None


def _rates(value: Any) -> list[Any] | None:
    """Log-probabilities of a choice, or None where it holds none."""
    listed = value.get("content") if isinstance(value, dict) else None
    return [each["logprob"] for each in listed] if isinstance(listed, list) else None
