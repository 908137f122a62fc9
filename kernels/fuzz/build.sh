#!/usr/bin/env bash
# Builds a fuzzer with its sanitizers: kernels/fuzz/build.sh FOLDER. With Clang libFuzzer drives it, else its own main().
set -euo pipefail
src=$(cd "$(dirname "$0")/../src" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
if command -v clang++ >/dev/null; then
  cxx=clang++ driver=(-fsanitize=fuzzer-no-link) main=(-fsanitize=fuzzer) alone=()
else
  cxx=g++ driver=() main=() alone=(-DM4I_FUZZ_ALONE)
fi
flags=(-std=c++20 -O2 -g -ffp-contract=off -Wno-psabi -fsanitize=address,undefined -fno-sanitize-recover=all)
case $(uname -m) in
  x86_64 | amd64)
    flags+=(-DM4I_X86)
    avx2=(-mavx2 -mbmi -mbmi2 -mlzcnt -mpopcnt)
    avx512=("${avx2[@]}" -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 -mavx512bitalg -mavx512vpopcntdq)
    ;;
esac
objects=()
for file in "$src"/*.cpp; do
  name=$(basename "$file" .cpp) more=()
  case $name in
    module*) continue ;;  # Python's face
    machine_avx2) [[ -v avx2 ]] || continue; more=("${avx2[@]}") ;;
    machine_avx512) [[ -v avx512 ]] || continue; more=("${avx512[@]}") ;;
  esac
  "$cxx" "${flags[@]}" "${driver[@]}" "${more[@]}" -c "$file" -o "$out/$name.o"
  objects+=("$out/$name.o")
done
# The truth's own branches are not what libFuzzer should follow.
"$cxx" "${flags[@]}" "${alone[@]}" -c "$(dirname "$0")/overlap.cpp" -o "$out/fuzz.o"
"$cxx" "${flags[@]}" "${main[@]}" "$out/fuzz.o" "${objects[@]}" -o "$out/overlap"
echo "$out/overlap"
