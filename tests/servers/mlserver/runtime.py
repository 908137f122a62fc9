"""MLServer's runtime for an exported captioner: pictures as pixels or as files, texts out."""

from __future__ import annotations

from pathlib import Path

from captioner import Captioner
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """``uri`` of the model's settings: the engine. Its first input says by its name what is sent."""

    async def load(self) -> bool:
        assert self.settings.parameters is not None
        self._captioner = Captioner(Path(self.settings.parameters.uri or ""))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (given,) = payload.inputs
        if given.name == "pixels":
            texts = self._captioner.captions(self.decode(given, default_codec=NumpyCodec))
        else:
            texts = self._captioner.captions_of_files(self.decode(given, default_codec=Base64Codec))
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=[StringCodec.encode_output("text", texts)]
        )
