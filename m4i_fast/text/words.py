"""The word tokeniser of vocabularies, towers, blind baselines and the default recipe.

It is defined in ``kernels.tokens``, beside its C++ twin.
"""

from __future__ import annotations

from m4i_fast.kernels.tokens import words

__all__ = ["words"]
