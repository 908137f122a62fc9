"""Hugging Face's image-to-text: the picture's bytes are the body, and nothing else is sent.

Where the generation asks for more than a greedy answer (a temperature, options), the body is JSON with the picture in
base64 beside its parameters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from m4i_fast.engines.endpoints.faults import Busy, Refused, clean, without_frames
from m4i_fast.engines.endpoints.identity import ModelIdentity
from m4i_fast.engines.endpoints.questions import FILES, Generation, Picture, Reply
from m4i_fast.engines.endpoints.replies import json_of, malformed, refuse_error_body, word
from m4i_fast.engines.endpoints.transport import Answer, Transport, base64_encoder
from m4i_fast.engines.protocol import MODEL_GAVE
from m4i_fast.errors import EndpointError

__all__ = ["HuggingFaceEndpoint", "open_hf"]

_NAMES = ("generated_text", "captions", "caption")


class HuggingFaceEndpoint:
    """Asks one picture a request. Made by ``open_hf``."""

    wants: Literal["file", "pixels"] = "file"
    image_size: int | None = None
    rows = 1
    alone = 0
    media_types = FILES

    def __init__(self, transport: Transport, identity: ModelIdentity, generation: Generation) -> None:
        self.identity = identity
        self._transport = transport
        self._path = transport.place.path or "/"
        self._generation = generation
        self._encode = base64_encoder()
        self._plain = not generation.temperature and generation.top_p is None and not generation.options

    @without_frames
    async def ask(self, pictures: Sequence[Picture], *, request_id: str) -> list[Reply]:
        """One attempt at one picture.

        Raises:
            Busy, EndpointError: see ``Endpoint``.
        """
        (picture,) = pictures
        if self._plain:
            kind, body = picture.media_type, picture.content
        else:
            kind, body = "application/json", self._with_parameters(picture)
        try:
            answer = await self._transport.post(self._path, body, {"Content-Type": kind, "X-Request-ID": request_id})
            return [self._reply(answer)]
        except Refused as refused:
            return [Reply("", error=refused.what)]

    def _with_parameters(self, picture: Picture) -> bytes:
        asked = self._generation
        how: dict[str, Any] = {}
        if asked.temperature:
            how = {"do_sample": True, "temperature": asked.temperature, "top_p": asked.top_p}
            how["seed"] = None if asked.seed is None else asked.seed + picture.sample
        fields = {"max_new_tokens": asked.max_tokens, **how, **asked.options}
        parameters = {name: value for name, value in fields.items() if value is not None}
        encoded = self._encode(picture.content)
        return b'{"inputs":"%s","parameters":%s}' % (encoded, json.dumps(parameters, separators=(",", ":")).encode())

    def _reply(self, answer: Answer) -> Reply:
        content = json_of(answer.body)
        key = self._transport.key
        refuse_error_body(content, where=self.identity.url, key=key)
        while isinstance(content, list):
            if len(content) != 1:
                raise Busy(f"the endpoint gave {len(content)} answers to one picture", status=200)
            content = content[0]
        text = content
        if isinstance(content, dict):
            name = next((each for each in _NAMES if each in content), None)
            if name is None:
                raise malformed("there is no generated_text")
            text = content[name]
            if isinstance(text, list):
                if len(text) != 1:
                    raise Busy(f"the endpoint gave {len(text)} answers to one picture", status=200)
                text = text[0]
        said_id = word(answer.headers.get("x-request-id"))
        request_id = None if said_id is None else clean(said_id, key)
        if text is None:
            return Reply("", error=f"{MODEL_GAVE} no text", request_id=request_id)
        if not isinstance(text, str):
            raise malformed("generated_text is no text")
        return Reply(clean(text, key), request_id=request_id)


def open_hf(transport: Transport, *, model: str | None, generation: Generation) -> HuggingFaceEndpoint:
    """Check that this can be asked; the protocol has no question about the model, so nothing is sent.

    Raises:
        EndpointError: a prompt was given.
    """
    if generation.prompt is not None or generation.system is not None:
        raise EndpointError("the protocol hf has no prompt", where="--prompt", cure="Leave it out, or use openai.")
    name = model or transport.place.path.rpartition("/")[2] or transport.place.host
    return HuggingFaceEndpoint(transport, ModelIdentity("hf", transport.place.shown, name), generation)
