from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

def overlap_statistics(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokeniser: int,
    encode: Callable[[str], bytes],
    machine: str,
    threads: int,
) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]: ...
def overlap_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokeniser: int,
    encode: Callable[[str], bytes],
    machine: str,
    threads: int,
    definitions: Sequence[tuple[int, bool]],
    exact_sum: bool,
) -> list[npt.NDArray[np.float64]]: ...

class PreparedReferences:
    def __init__(
        self,
        references: Sequence[Sequence[str]],
        tokeniser: int,
        encode: Callable[[str], bytes],
        machine: str,
    ) -> None: ...
    def statistics(
        self, hypotheses: Sequence[str], machine: str, threads: int
    ) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]: ...
    def scores(
        self,
        hypotheses: Sequence[str],
        machine: str,
        threads: int,
        definitions: Sequence[tuple[int, bool]],
        exact_sum: bool,
    ) -> list[npt.NDArray[np.float64]]: ...

def set_statistics(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], encode: Callable[[str], bytes]
) -> dict[str, npt.NDArray[np.int32]]: ...

class Numbering:
    def __init__(self, tokeniser: int, encode: Callable[[str], bytes], machine: str) -> None: ...
    def ids(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...
    def __len__(self) -> int: ...

class Candidates:
    def __init__(self, ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], vocabulary: int) -> None: ...
    def find(
        self, ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], measure: int, most: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]: ...
    def count(
        self, ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], measure: int
    ) -> npt.NDArray[np.int32]: ...

def id_statistics(
    ids: npt.NDArray[np.int32],
    packed: npt.NDArray[np.uint16],
    offsets: npt.NDArray[np.int64],
    other_ids: npt.NDArray[np.int32],
    other_packed: npt.NDArray[np.uint16],
    other_offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    machine: str,
    threads: int,
    /,
) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]: ...
def id_subsequences(
    ids: npt.NDArray[np.int32],
    packed: npt.NDArray[np.uint16],
    offsets: npt.NDArray[np.int64],
    other_ids: npt.NDArray[np.int32],
    other_packed: npt.NDArray[np.uint16],
    other_offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    machine: str,
    threads: int,
    /,
) -> npt.NDArray[np.int32]: ...
def machines() -> tuple[str, ...]: ...
def scores(
    offsets: npt.NDArray[np.int64],
    hypothesis_length: npt.NDArray[np.int32],
    hypothesis_length_lcs: npt.NDArray[np.int32],
    best_matches: npt.NDArray[np.int32],
    closest_length: npt.NDArray[np.int32],
    lcs: npt.NDArray[np.int32],
    matches: npt.NDArray[np.int32],
    reference_length: npt.NDArray[np.int32],
    reference_length_lcs: npt.NDArray[np.int32],
    definition: int,
    mean: bool,
    exact_sum: bool,
    /,
) -> npt.NDArray[np.float64]: ...
def set_ptb_tables(
    kinds: npt.NDArray[np.uint8],
    free_ends: npt.NDArray[np.int32],
    free_items: npt.NDArray[np.int32],
    step_ends: npt.NDArray[np.int32],
    step_items: npt.NDArray[np.int32],
    member_ends: npt.NDArray[np.int32],
    member_items: npt.NDArray[np.int32],
    accepts: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    rules: npt.NDArray[np.int32],
    texts: list[str],
    lower: npt.NDArray[np.uint16],
    lower_pairs: npt.NDArray[np.uint32],
    in_words: npt.NDArray[np.uint8],
    /,
) -> None: ...
def ptb_alone(captions: tuple[str, ...], machine: str, /) -> list[str]: ...
def ptb_document(captions: tuple[str, ...], machine: str, /) -> list[str]: ...
def ptb_plain_words() -> tuple[list[str], list[str]] | None: ...
def resample(pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8], machine: str) -> None: ...
