#!/usr/bin/env bash
# Builds both fuzzers with their sanitizers: kernels/fuzz/build.sh FOLDER. With Clang libFuzzer drives them, else their
# own main(). The PTB tokeniser's tables come from Python (PYTHON, else python), where m4i-fast is installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../src" && pwd)
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
# The arguments of set_ptb_tables in their order, each as its bytes after their number; and words that libFuzzer may try.
"${PYTHON:-python}" - "$out" <<'PYTHON'
import sys
from pathlib import Path

from m4i_fast.kernels.ptb import words
from m4i_fast.kernels.ptb.tables import tables

out = Path(sys.argv[1])
with (out / "ptb.tables").open("wb") as file:
    for each in tables():
        content = "".join(text + "\0" for text in each).encode() if isinstance(each, list) else each.tobytes()
        file.write(len(content).to_bytes(8, sys.byteorder) + content)
lists = (words.ABBREVIATIONS, words.BEFORE_NAMES, words.BEFORE_NUMBERS, words.OPENERS, words.FILE_KINDS)
known = sorted({word.replace("\\", "") for each in lists for word in each.split()} | {"n't", "http://", "&amp;", "<a ", ":-)"})
(out / "ptb.dict").write_text("".join(f'"{word}"\n' for word in known if word.isascii()))
PYTHON
# The truths' own branches are not what libFuzzer should follow.
for name in overlap ptb; do
  "$cxx" "${flags[@]}" "${alone[@]}" "-DM4I_TABLES=\"$out/ptb.tables\"" -c "$here/$name.cpp" -o "$out/fuzz_$name.o"
  "$cxx" "${flags[@]}" "${main[@]}" "$out/fuzz_$name.o" "${objects[@]}" -o "$out/$name"
  echo "$out/$name"
done
