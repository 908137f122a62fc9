"""What runs on the device, in Triton: pairs of texts compared side by side, one pair a lane.

The method is that of ``src/machine_common.inl``: a bit for each token of the hypothesis, in a word of 32 or 64 bits; a
longer hypothesis goes in blocks of 64. Imported by ``gpu`` alone, where Triton is installed. Where ``TRITON_INTERPRET``
was 1 when Triton was imported these are plain Python and NumPy.

Tensors are [tokens, lanes] so that a lane keeps all tokens of its hypothesis in registers: the sum over them then needs
neither shuffles nor shared memory. The steps between tokens are arguments that the compiler must not look into, because
it would deal consecutive tokens out to neighbouring lanes if it knew that they stand side by side.

For the interpreter's sake ``~`` is not used, which it has for signed words only, and the loops call nothing of ours,
because each call costs it a third of a millisecond.
"""

import triton
import triton.language as tl

__all__ = ["compare", "unite"]


@triton.jit
def _ones(words, WIDTH: tl.constexpr):
    """How many bits of each word are set: int32. By sums of ever wider fields, the same on every device."""
    if WIDTH == 64:
        words = words - ((words >> 1) & 0x5555555555555555)
        words = (words & 0x3333333333333333) + ((words >> 2) & 0x3333333333333333)
        words = (words + (words >> 4)) & 0x0F0F0F0F0F0F0F0F
        return ((words * 0x0101010101010101) >> 56).to(tl.int32)
    words = words - ((words >> 1) & 0x55555555)
    words = (words & 0x33333333) + ((words >> 2) & 0x33333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F
    return ((words * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def _put(cells, values, inside, LONG: tl.constexpr):
    """Blocks of a long hypothesis add up."""
    if LONG:
        values += tl.load(cells, mask=inside, other=0)
    tl.store(cells, values, mask=inside)


@triton.jit(do_not_specialize=["h_step", "r_step", "skip", "count", "across"])
def compare(
    h_ids,  # int32; the hypotheses' tokens
    h_begin,  # int64 [N]; where each begins
    h_length,  # int32 [N]
    h_step,  # from one token to the next
    r_ids,
    r_begin,
    r_length,
    r_step,
    order,  # int64; MATRIX: [across], the column of each reference; else [count], the pair of each lane
    record,  # int64 [P]; the hypothesis of each pair; MATRIX: not read
    lcs,  # int32 [P], or where MATRIX [N, across]
    matches,  # int32 [P, ORDERS], or where MATRIX [N, across, ORDERS]
    used,  # int32 or (WIDTH 64) int64 [4, P]; UNITE: the bits that each pair took
    across,  # MATRIX: references in a row; UNITE: P
    carries,  # uint8 [tokens of the longest reference, count]; LONG: what a block hands to the next
    skip,  # LONG: tokens of the hypothesis that the blocks before had
    count,  # of lanes
    MATRIX: tl.constexpr,
    SUBSEQUENCE: tl.constexpr,
    ORDERS: tl.constexpr,  # 0, 1 or 4: n-grams up to this length are counted
    UNITE: tl.constexpr,
    LONG: tl.constexpr,
    WIDTH: tl.constexpr,  # 16, 32 or 64: tokens of a hypothesis that are looked at
    BLOCK: tl.constexpr,
):
    """Compare ``count`` pairs: lengths of subsequences, clipped n-grams, and the bits taken of each hypothesis."""
    WORD: tl.constexpr = tl.uint64 if WIDTH == 64 else tl.uint32
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < count
    if MATRIX:
        hypothesis = lane // across
        reference = lane % across
        at = hypothesis * across + tl.load(order + reference, mask=inside, other=0)
    else:
        at = tl.load(order + lane, mask=inside, other=0)
        reference = at
        hypothesis = tl.load(record + at, mask=inside, other=0)

    begin = tl.load(h_begin + hypothesis, mask=inside, other=0)
    length = tl.load(h_length + hypothesis, mask=inside, other=0) - skip
    place = tl.arange(0, WIDTH)
    cells = h_ids + begin[None, :] + (place[:, None] + skip) * h_step
    # Ids are 0 or more, so what stands here beyond the ends equals nothing.
    tokens = tl.load(cells, mask=place[:, None] < length[None, :], other=-1)
    bit = (tl.full([WIDTH], 1, WORD) << place.to(WORD))[:, None]

    wanted = tl.load(r_length + reference, mask=inside, other=0)
    cursor = r_ids + tl.load(r_begin + reference, mask=inside, other=0)
    carry = carries + lane
    none = tl.zeros([BLOCK], WORD)
    full = none - 1
    open_ = full
    used1 = none
    used2 = none
    used3 = none
    used4 = none
    end1 = none
    end2 = none
    end3 = none
    for j in range(tl.max(wanted, axis=0)):
        here = j < wanted
        token = tl.load(cursor, mask=here, other=-2)
        hit = tl.sum(tl.where(tokens == token[None, :], bit, 0), axis=0)
        if LONG:
            # Bit 0: the addition's carry; 1 to 3: ends at the block's last token; 4 to 7: whether an n-gram was taken.
            before = tl.load(carry, mask=here, other=0).to(WORD)
            after = ((end1 >> 63) << 1) | ((end2 >> 63) << 2) | ((end3 >> 63) << 3) | (before & 0xF0)
        if SUBSEQUENCE:
            both = open_ & hit
            added = open_ + both
            if LONG:
                added += before & 1
                after |= (both | ((open_ | added) ^ added)) >> 63
            open_ = added | (open_ ^ both)
        if ORDERS == 4:
            # endN: where an n-gram of the hypothesis ends that equals the reference's n-gram ending here.
            end4 = (end3 << 1) & hit
            end3 = (end2 << 1) & hit
            end2 = (end1 << 1) & hit
            if LONG:
                end4 |= (before >> 3) & hit & 1
                end3 |= (before >> 2) & hit & 1
                end2 |= (before >> 1) & hit & 1
            free2 = (end2 | used2) ^ used2
            free3 = (end3 | used3) ^ used3
            free4 = (end4 | used4) ^ used4
            if LONG:
                free2 = tl.where((before & 0x20) != 0, 0, free2)
                free3 = tl.where((before & 0x40) != 0, 0, free3)
                free4 = tl.where((before & 0x80) != 0, 0, free4)
                after |= tl.where(free2 != 0, 0x20, 0) | tl.where(free3 != 0, 0x40, 0) | tl.where(free4 != 0, 0x80, 0)
            # The lowest free one is taken.
            used2 |= free2 & (0 - free2)
            used3 |= free3 & (0 - free3)
            used4 |= free4 & (0 - free4)
        if ORDERS > 0:
            end1 = hit
            free1 = (end1 | used1) ^ used1
            if LONG:
                free1 = tl.where((before & 0x10) != 0, 0, free1)
                after |= tl.where(free1 != 0, 0x10, 0)
            used1 |= free1 & (0 - free1)
        if LONG:
            tl.store(carry, after.to(tl.uint8), mask=here)
            carry += count
        cursor += r_step

    if SUBSEQUENCE:
        _put(lcs + at, _ones(open_ ^ full, WIDTH), inside, LONG)
    if ORDERS > 0:
        _put(matches + at * ORDERS, _ones(used1, WIDTH), inside, LONG)
    if ORDERS == 4:
        _put(matches + at * ORDERS + 1, _ones(used2, WIDTH), inside, LONG)
        _put(matches + at * ORDERS + 2, _ones(used3, WIDTH), inside, LONG)
        _put(matches + at * ORDERS + 3, _ones(used4, WIDTH), inside, LONG)
    if UNITE:
        cell = used + at
        tl.store(cell, used1, mask=inside)
        tl.store(cell + across, used2, mask=inside)
        tl.store(cell + 2 * across, used3, mask=inside)
        tl.store(cell + 3 * across, used4, mask=inside)


@triton.jit(do_not_specialize=["pairs", "shortest", "longest", "count"])
def unite(
    used,  # int32 or (WIDTH 64) int64 [4, pairs], of compare
    rows,  # int64 [count + 1]; the pairs of each record
    h_length,  # int32 [count]
    best,  # int32 [count, 4]
    pairs,
    shortest,  # records whose hypothesis is shorter are left alone, ...
    longest,  # ... and those whose is longer
    count,
    LONG: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """For each record how many of its hypothesis's n-grams any of its references took, n = 1 .. 4."""
    WORD: tl.constexpr = tl.uint64 if WIDTH == 64 else tl.uint32
    record = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = record < count
    length = tl.load(h_length + record, mask=inside, other=-1)
    inside = inside & (length >= shortest) & (length <= longest)
    begin = tl.load(rows + record, mask=inside, other=0)
    size = (tl.load(rows + record + 1, mask=inside, other=0) - begin).to(tl.int32)
    used1 = tl.zeros([BLOCK], WORD)
    used2 = used1
    used3 = used1
    used4 = used1
    cell = used + begin
    for j in range(tl.max(size, axis=0)):
        here = j < size
        used1 |= tl.load(cell, mask=here, other=0).to(WORD)
        used2 |= tl.load(cell + pairs, mask=here, other=0).to(WORD)
        used3 |= tl.load(cell + 2 * pairs, mask=here, other=0).to(WORD)
        used4 |= tl.load(cell + 3 * pairs, mask=here, other=0).to(WORD)
        cell += 1
    at = best + record * 4
    _put(at, _ones(used1, WIDTH), inside, LONG)
    _put(at + 1, _ones(used2, WIDTH), inside, LONG)
    _put(at + 2, _ones(used3, WIDTH), inside, LONG)
    _put(at + 3, _ones(used4, WIDTH), inside, LONG)
