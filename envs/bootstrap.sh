#!/usr/bin/env bash
# Make .venv from the pinned requirements and install nmforge into it. Called by the Makefile, in three steps:
#   envs/bootstrap.sh check       the few things the machine itself must have; exit status 2 if one is missing
#   envs/bootstrap.sh packages    .venv, torch and every other requirement, each file checked against its hash
#   envs/bootstrap.sh extension   build the C++ kernels and install nmforge in place
# and, for the wider benchmark:
#   envs/bootstrap.sh libraries   .venv-libraries with the libraries we compare with, llama.cpp built for this processor
#   envs/bootstrap.sh scalesim    .venv-scalesim with SCALE-Sim
#   envs/bootstrap.sh modelopt    .venv-modelopt with NVIDIA ModelOpt
# and, for tests of the GPU kernels on a machine without a GPU:
#   envs/bootstrap.sh triton      Triton into .venv, where torch's CUDA build brings it along
# PYTHON names the interpreter (default python3.11). The hashed requirements fit CPython 3.11 on x86-64 Linux; on
# anything else the same versions are installed without hashes, and a line says so.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

python=${PYTHON:-python3.11}
wheels=.cache/wheels
venv_python=.venv/bin/python

say() { echo "nmforge: $*" >&2; }
fail() { say "$*"; exit 2; }

# pip, quiet but for errors, asking nothing.
pip() {
    "$venv_python" -m pip --disable-pip-version-check --no-input "$@"
}

found() { command -v "$1" > /dev/null 2>&1; }

has_compiler() {
    if [ -n "${CXX:-}" ]; then found "${CXX%% *}"; else found c++ || found g++ || found clang++; fi
}

check() {
    found "$python" && "$python" -c 'import sys' 2> /dev/null ||
        fail "$python was not found: install Python 3.11 (Debian: apt-get install python3.11-venv python3.11-dev)" \
            "or name another interpreter, as in 'make PYTHON=python3.12'."
    "$python" -c 'import ensurepip, venv' 2> /dev/null ||
        fail "$python cannot make a virtual environment: install its venv module (Debian: python3.11-venv)."
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        fail "$python lacks its C headers (Python.h): install them (Debian: python3.11-dev)."
    has_compiler ||
        fail "${CXX:-A C++ compiler} was not found: install one (Debian: apt-get install g++)" \
            "or let CXX name the one you have."
    found make || fail "make was not found: install it (Debian: apt-get install make)."
    found perl || fail "perl was not found (Verilator needs it): install it (Debian: apt-get install perl)."
    found git || fail "git was not found: install it (Debian: apt-get install git)."
}

# The pinned requirement on torch, such as torch==2.13.0.
torch_requirement() { grep '^torch==' envs/requirements.in; }

is_locked_platform() {
    "$venv_python" -c 'import platform, sys
here = (sys.implementation.name, sys.version_info[:2], sys.platform, platform.machine())
sys.exit(here != ("cpython", (3, 11), "linux", "x86_64"))'
}

# build_of WHEEL: cpu or cuda, or nothing where envs/torch.sha256 does not list the file.
build_of() {
    local digest
    digest=$("$venv_python" -c 'import hashlib, sys
with open(sys.argv[1], "rb") as file:
    print(hashlib.file_digest(file, "sha256").hexdigest())' "$1")
    awk -v digest="$digest" '$1 == digest { print $2 }' envs/torch.sha256
}

# Print the path of the torch wheel in the cache and its build, downloading it where it is not there yet.
fetch_torch() {
    local requirement wheel build
    requirement=$(torch_requirement)
    mkdir -p "$wheels"
    for wheel in "$wheels/torch-${requirement#torch==}"[+-]*.whl; do
        [ -e "$wheel" ] || continue
        build=$(build_of "$wheel")
        if [ -n "$build" ]; then echo "$wheel $build"; return; fi
        rm "$wheel"
    done
    pip download -qq --no-deps --only-binary :all: --dest "$wheels" "$requirement" >&2
    wheel=$(ls "$wheels/torch-${requirement#torch==}"[+-]*.whl)
    build=$(build_of "$wheel")
    if [ -z "$build" ]; then
        rm "$wheel"
        fail "the downloaded $(basename "$wheel") is none of the files in envs/torch.sha256, so it was removed:" \
            "try again, or add its digest there if you trust it."
    fi
    echo "$wheel $build"
}

install_hashed() {
    local wheel_and_build wheel build
    say "2/4 torch (190 MB for the CPU build; PyPI's CUDA build is larger)"
    wheel_and_build=$(fetch_torch)
    read -r wheel build <<< "$wheel_and_build"
    pip install -qq --no-deps "$wheel"
    say "3/4 $(grep -c == envs/requirements.lock) pinned packages, every hash checked"
    pip install -qq --require-hashes --no-deps -r envs/requirements.lock
    if [ "$build" = cuda ]; then
        say "3/4 $(grep -c == envs/requirements-cuda.lock) CUDA libraries (about 3 GB)"
        pip install -qq --require-hashes --no-deps -r envs/requirements-cuda.lock
    fi
}

install_unhashed() {
    say "2/4 and 3/4 $("$venv_python" -VV | cut -d' ' -f1,2) on $(uname -sm): the hashed files are for" \
        "Python 3.11 on Linux x86_64, so the same versions are installed WITHOUT checking hashes"
    pip install -qq -r envs/requirements.in
}

packages() {
    check
    say "1/4 virtual environment .venv"
    # A half-made .venv has no pip yet: make it again.
    [ -x .venv/bin/pip ] || "$python" -m venv --clear .venv
    if is_locked_platform; then install_hashed; else install_unhashed; fi
}

extension() {
    check
    say "4/4 C++ kernels and nmforge itself"
    PATH="$PWD/.venv/bin:$PATH" pip install -qq --no-build-isolation --no-deps -e .
    pip check -q || fail "the packages in .venv do not fit together (above): remove .venv and run make again."
}

# llama_or_rest WANT: the llama-cpp-python of libraries.lock (1), or everything else in it (0).
llama_or_rest() {
    awk -v want="$1" '/==/ { llama = /^llama-cpp-python==/ } llama == want' envs/libraries.lock
}

# llama-cpp-python has no wheels: its build runs with the tools of the lock, which are therefore there before it.
libraries() {
    check
    venv_python=.venv-libraries/bin/python
    say "libraries 1/3 virtual environment .venv-libraries"
    [ -x .venv-libraries/bin/pip ] || "$python" -m venv --clear .venv-libraries
    export CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}"
    if is_locked_platform; then
        say "libraries 2/3 OpenVINO and build tools, every hash checked"
        pip install -qq --require-hashes --no-deps --only-binary :all: -r <(llama_or_rest 0)
        say "libraries 3/3 llama.cpp from its source, for this processor (four minutes on two cores)"
        PATH="$PWD/.venv-libraries/bin:$PATH" pip install -qq --require-hashes --no-deps --no-build-isolation \
            -r <(llama_or_rest 1)
    else
        say "libraries 2/3 and 3/3 the hashed files are for Python 3.11 on Linux x86_64, so the same versions are" \
            "installed WITHOUT checking hashes; llama.cpp is built from its source"
        pip install -qq -r envs/libraries.in
    fi
    pip check -q || fail "the packages in .venv-libraries do not fit together (above): remove it and run make libraries again."
}

scalesim() {
    check
    venv_python=.venv-scalesim/bin/python
    say "SCALE-Sim in .venv-scalesim"
    [ -x .venv-scalesim/bin/pip ] || "$python" -m venv --clear .venv-scalesim
    if is_locked_platform; then
        pip install -qq --require-hashes --no-deps --only-binary :all: -r envs/scalesim.lock
    else
        say "the hashed files are for Python 3.11 on Linux x86_64, so the same versions are installed WITHOUT checking hashes"
        pip install -qq -r envs/scalesim.in
    fi
    pip check -q || fail "the packages in .venv-scalesim do not fit together (above): remove it and run make scalesim again."
}

modelopt() {
    local wheel_and_build wheel build
    check
    venv_python=.venv-modelopt/bin/python
    say "ModelOpt in .venv-modelopt"
    [ -x .venv-modelopt/bin/pip ] || "$python" -m venv --clear .venv-modelopt
    if is_locked_platform; then
        wheel_and_build=$(fetch_torch)
        read -r wheel build <<< "$wheel_and_build"
        pip install -qq --no-deps "$wheel"
        pip install -qq --require-hashes --no-deps --only-binary :all: -r envs/modelopt.lock
        if [ "$build" = cuda ]; then
            pip install -qq --require-hashes --no-deps -r envs/requirements-cuda.lock
        fi
    else
        say "the hashed files are for Python 3.11 on Linux x86_64, so the same versions are installed WITHOUT checking hashes"
        pip install -qq -r envs/modelopt.in
    fi
    pip check -q || fail "the packages in .venv-modelopt do not fit together (above): remove it and run make modelopt again."
}

triton() {
    say "Triton, to interpret the GPU kernels (200 MB)"
    if is_locked_platform; then
        pip install -qq --require-hashes --no-deps \
            -r <(awk '/==/ { wanted = /^triton==/ } wanted' envs/requirements-cuda.lock)
    else
        pip install -qq --no-deps "$(grep -o '^triton==[0-9.]*' envs/requirements-cuda.lock)"
    fi
}

case ${1:-} in
    check | packages | extension | libraries | scalesim | modelopt | triton) "$1" ;;
    *) fail "usage: envs/bootstrap.sh check|packages|extension|libraries|scalesim|modelopt|triton" ;;
esac
