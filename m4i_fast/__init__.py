"""m4i-fast: does a captioning model give away what it was trained on?"""

import os

# Read by torch's thread pool when torch is first imported. By default its threads wait in a busy loop: beside one other
# busy process a training step took ten times as long (2,400 ms for 240 on two cores). A setting of the user's stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_ROOMS = {
    "References": "m4i_fast.text.overlap",
    "TokenIds": "m4i_fast.kernels.ids",
    "nearest_captions": "m4i_fast.text.nearest",
    "overlap": "m4i_fast.text.overlap",
    "overlap_ids": "m4i_fast.text.overlap",
    "overlaps": "m4i_fast.text.overlap",
    "ptb_tokenise": "m4i_fast.text.ptb",
}

__all__ = [
    "References",
    "TokenIds",
    "__version__",
    "nearest_captions",
    "overlap",
    "overlap_ids",
    "overlaps",
    "ptb_tokenise",
]


def __getattr__(name: str) -> object:
    """Import what scores captions when it is first asked for: a bare ``import m4i_fast`` loads nothing else."""
    if name in _ROOMS:
        # By name: as an import statement it would tie every room below text/ to text/.
        from importlib import import_module

        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
