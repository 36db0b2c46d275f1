#!/usr/bin/env bash
# Builds the extension under address and undefined-behaviour sanitizers and runs kernels, decoder and products in them.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build/sanitize
mkdir -p build
compiler=${CXX:-c++}
libraries=()
for name in libasan.so libubsan.so libstdc++.so; do
    path=$("$compiler" -print-file-name="$name")
    [ "$path" != "$name" ] || { echo "sanitize: no $name in $compiler" >&2; exit 1; }
    libraries+=("$path")
done

python=$(command -v python)
cmake -S . -B "$build" -DPython_EXECUTABLE="$python" -DNMFORGE_SANITIZE=ON > "$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
cmake --build "$build" -j2 >> "$build.log" 2>&1 || { tail -40 "$build.log" >&2; exit 1; }

# Python itself leaks by design; numpy is not instrumented.
LD_PRELOAD="${libraries[*]}" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    "$python" tests/csrc/sanitized.py "$build"/_native*.so
