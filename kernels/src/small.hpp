// Records of small numbers, compared where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "long.hpp"
#include "machine.hpp"
#include "tokens.hpp"

namespace m4i {

// One for each thread. Of records, `left_out` is the comparer's own to say.
class SmallComparer {
public:
    explicit SmallComparer(const Machine& machine) : machine_(machine), alone_(machine) {}

    // Some hundred records together are best.
    void compare(SmallRecords records, Columns columns);

    // Lengths of the longest common subsequences alone, one a pair.
    void subsequences(SmallRecords records, std::int32_t* lengths);

private:
    void leave_out(SmallRecords& records);
    const TokensOf<Small>* texts(const SmallRecords& records, std::size_t record);

    const Machine& machine_;
    std::vector<Used> taken_;
    std::vector<char> left_out_;
    std::vector<std::size_t> long_;  // records
    std::vector<TokensOf<Small>> texts_;
    LongComparer<Small> alone_;
};

}  // namespace m4i
