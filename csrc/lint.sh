#!/usr/bin/env bash
# Style of all C++ of csrc/ and tests/csrc (clang-format), and clang-tidy on the files that this machine compiles.
#   csrc/lint.sh          check
#   csrc/lint.sh format   rewrite in that style
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(find csrc tests/csrc -name '*.cpp' -o -name '*.hpp' | sort)
if [ "${1:-}" = format ]; then
    clang-format -i "${files[@]}"
    exit
fi
clang-format --dry-run -Werror "${files[@]}"

build=build/tidy
mkdir -p build
cmake -S . -B "$build" -DPython_EXECUTABLE="$(command -v python)" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON > "$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
# The report goes to stdout; on stderr are counts of warnings in headers of others, shown only where a check fails.
python -c 'import json, sys
for entry in json.load(open(sys.argv[1])):
    if entry["file"].startswith(sys.argv[2]):
        print(entry["file"])' "$build/compile_commands.json" "$PWD/csrc/" |
    xargs -d "\n" -P "$(nproc)" -n 2 clang-tidy -p "$build" --quiet 2> "$build.log" || { cat "$build.log" >&2; exit 1; }
