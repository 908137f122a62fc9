"""What is asked about each record: the picture itself, variants of it, and how many samples of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from m4i_fast.data.variants import VARIANTS
from m4i_fast.errors import ConfigError

__all__ = ["PLAIN", "Ask", "Asks"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One generation a record: ``variant`` is "" for the picture as it is, else a name of ``VARIANTS``."""

    variant: str = ""
    sample: int = 0


PLAIN = Ask()


@dataclass(frozen=True, slots=True)
class Asks:
    """All generations of a record, the plain one first.

    Raises:
        ConfigError: no sample, or a variant that is unknown or named twice.
    """

    variants: tuple[str, ...] = ()
    samples: int = 1

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigError(f"{self.samples} samples", where="samples", cure="Give 1 or more.")
        unknown = [name for name in self.variants if name not in VARIANTS]
        if unknown:
            raise ConfigError(f"unknown variant '{unknown[0]}'", where="augment", cure=f"Of: {', '.join(VARIANTS)}.")
        if len(set(self.variants)) != len(self.variants):
            raise ConfigError("a variant is named twice", where="augment", cure="Name each once; see --samples.")

    def __len__(self) -> int:
        return (1 + len(self.variants)) * self.samples

    def __iter__(self) -> Iterator[Ask]:
        for variant in ("", *self.variants):
            for sample in range(self.samples):
                yield Ask(variant, sample)

    def to_json(self) -> dict[str, Any]:
        """For the identity of a query."""
        return {"variants": list(self.variants), "samples": self.samples}
