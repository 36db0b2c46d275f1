#!/usr/bin/env bash
# Resolve requirements.in into its two hashed lock files, and libraries.in, scalesim.in and modelopt.in into theirs. Run it
# through `make lock`, from the repository root, after changing a pin; then commit the .in and .lock files, and
# envs/torch.sha256 where torch moved.
set -euo pipefail

python=${1:?usage: envs/lock.sh PYTHON}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "lock: installing uv into a scratch environment" >&2
"$python" -m venv "$scratch/uv"
"$scratch/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9

# resolve FILE ARGS...: one resolution for x86-64 Linux and CPython 3.11, as free of the machine it ran on as possible.
resolve() {
    "$scratch/uv/bin/uv" pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 "$@"
}

echo "lock: resolving everything" >&2
resolve envs/requirements.in --no-emit-package torch |
    sed '/^# The following packages/,$d' | sed -e :a -e '/^$/{$d;N;ba' -e '}' > "$scratch/all.lock"

# One requirement is the line that holds `==` and the hash lines below it. nvidia-modelopt and nvidia-ml-py are no part of
# torch's CUDA build.
cuda_names='^(nvidia-(cu|nccl|nvjit|nvshmem|nvtx)|cuda-|triton==)'
split() {
    awk -v names="$cuda_names" -v want="$1" '/==/ { cuda = ($0 ~ names) } cuda == want' "$2"
}
split 0 "$scratch/all.lock" > envs/requirements.lock
split 1 "$scratch/all.lock" > envs/requirements-cuda.lock
resolve envs/libraries.in > envs/libraries.lock
resolve envs/scalesim.in > envs/scalesim.lock
resolve envs/modelopt.in --no-emit-package torch | sed '/^# The following packages/,$d' > "$scratch/modelopt.lock"
split 0 "$scratch/modelopt.lock" > envs/modelopt.lock
echo "lock: $(grep -c == envs/requirements.lock) packages, and $(grep -c == envs/requirements-cuda.lock) for CUDA" >&2
