"""Answers of earlier runs, and whether they may be believed: the model behind a name may be another by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from m4i_fast.engines.endpoints import Endpoint, Picture, Reply
from m4i_fast.progress import say
from m4i_fast.query.cache import Cache, question_key
from m4i_fast.query.canary import CANARIES, Canary
from m4i_fast.query.sending import Sendable

if TYPE_CHECKING:
    from m4i_fast.query.reading import Row

__all__ = ["Hits"]


class Hits:
    """What a cache knows of a run's questions.

    Args:
        cache: of earlier runs; None: nothing is known and nothing kept.
        refresh: nothing is known, and all is kept.
        endpoint: that is asked now.
        settings: how it is asked, as JSON values; ``generation`` among them.
        canary: asks again what is known.
    """

    def __init__(
        self, cache: Cache | None, *, refresh: bool, endpoint: Endpoint, settings: Mapping[str, Any], canary: Canary
    ) -> None:
        self._cache = cache
        self._refresh = refresh
        self._identity = endpoint.identity
        self._settings = settings
        self._canary = canary
        self._trusted: bool | None = None

    def key(self, made: Sendable) -> bytes | None:
        """Under what an answer is kept; None where it is not."""
        if self._cache is None or made.sha256 is None:
            return None
        return question_key(self._identity.key, self._settings, made.sha256, made.wanted.ask)

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, Reply]:
        """The answers that are known, believed or not."""
        return {} if self._cache is None or self._refresh else self._cache.find(keys)

    async def trusted(self, rows: Sequence[Row]) -> bool:
        """Whether the cache speaks of the model that answers now: the first that it knows is asked anew.

        Where answers are drawn at random they cannot be compared; then the endpoint must name a version.
        """
        if self._trusted is None:
            hits = [(row.made.picture, row.known) for row in rows if row.made.picture is not None and row.known]
            if hits:
                drawn = self._settings["generation"]["temperature"] > 0
                self._trusted = self._named() if drawn else await self._same(hits[:CANARIES])
        return bool(self._trusted)

    def _named(self) -> bool:
        named = self._identity.version is not None or self._identity.fingerprint is not None
        if not named:
            say("the endpoint names no version of its model: answers of earlier runs are not used")
        return named

    async def _same(self, hits: Sequence[tuple[Picture, Reply]]) -> bool | None:
        """None where the endpoint gave no answer that could tell."""
        for row, (picture, known) in enumerate(hits):
            said = await self._canary.answer(picture, f"m4i-cache-{row}")
            if said is None or said.error is not None:
                return None
            if said.text != known.text or _other_names(said, known):
                say("the model answers otherwise than in earlier runs: their answers are not used")
                return False
        return True


def _other_names(said: Reply, known: Reply) -> bool:
    pairs = [(getattr(said, name), getattr(known, name)) for name in ("model", "version", "fingerprint")]
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)
