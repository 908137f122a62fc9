#include "machine.hpp"

#include <cstring>

namespace m4i {

extern const Machine kBaseline;
#ifdef M4I_X86
extern const Machine kAvx2;
extern const Machine kAvx512;
#endif

namespace {

#ifdef M4I_X86
bool runs_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

bool runs_avx512() {
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

}  // namespace

const Machine* machine_named(const char* name) {
    if (std::strcmp(name, kBaseline.name) == 0) return &kBaseline;
#ifdef M4I_X86
    if (std::strcmp(name, kAvx2.name) == 0) return runs_avx2() ? &kAvx2 : nullptr;
    if (std::strcmp(name, kAvx512.name) == 0) return runs_avx512() ? &kAvx512 : nullptr;
#endif
    return nullptr;
}

}  // namespace m4i
