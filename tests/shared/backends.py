"""What tests mean by "every backend": all that work here, Triton's interpreter on a share of the examples.

What does not work here, ``tests/kernels/test_backend.py`` skips by name with the reason.
"""

import zlib

from m4i_fast.kernels.backend import built_backends


def backends_for(*example: object, one_in: int = 16) -> tuple[str, ...]:
    """The backends for one example of many.

    Triton's interpreter takes milliseconds a token, so it gets one example in ``one_in``: chosen by what the example
    says, so that it gets the same one again when Hypothesis comes back to it. On a GPU it gets all.
    """
    names = built_backends()
    if "triton" in names:
        from m4i_fast.kernels import gpu

        if gpu.interpreted() and zlib.crc32(repr(example).encode("utf-8", "surrogatepass")) % one_in:
            return tuple(name for name in names if name != "triton")
    return names
