"""Who answers: the model's identity when it was opened, and whether the answers still come from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m4i_fast.engines.endpoints.questions import Reply

__all__ = ["ModelIdentity", "Witness"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Equal identities are the same model, as far as the endpoint tells.

    Attributes:
        protocol: openai, kserve, kserve-grpc or hf.
        url: without credentials and query.
        model: its name at the endpoint.
        version: as the endpoint lists it, or None.
        fingerprint: hash of what the endpoint says of the model's inputs and outputs, or None.
    """

    protocol: str
    url: str
    model: str
    version: str | None = None
    fingerprint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @property
    def key(self) -> str:
        """SHA-256 over all of it, in hex."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Witness:
    """Compares every reply with the first: a name may be an alias, so the first answer says what it stands for.

    ``version`` begins as the identity's. Keep the fields with the run and give them back on its resumption.
    """

    model: str | None = None
    version: str | None = None
    fingerprint: str | None = None

    def change(self, reply: Reply) -> str | None:
        """What of the model differs from before, in words; None where nothing does or nothing is told."""
        for name in ("model", "version", "fingerprint"):
            now = getattr(reply, name)
            if now is None:
                continue
            before = getattr(self, name)
            if before is None:
                setattr(self, name, now)
            elif before != now:
                return f"the model's {'name' if name == 'model' else name} was '{before}' and is now '{now}'"
        return None
