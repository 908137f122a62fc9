from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

def overlap_statistics(
    hypotheses: tuple[str, ...],
    references: tuple[Sequence[str], ...],
    tokeniser: int,
    encode: Callable[[str], bytes],
    machine: str,
) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]: ...
def machines() -> tuple[str, ...]: ...
def power(values: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]: ...
def exponential(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
