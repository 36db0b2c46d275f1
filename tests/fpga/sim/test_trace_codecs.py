"""The codecs of a waveform: what they write is read back by Python's zlib, and by LZ4's own rules written out."""

from __future__ import annotations

import random
import subprocess
import zlib
from pathlib import Path

import pytest

from nmforge.fpga.sources import TRACE_CODECS, require

pytestmark = pytest.mark.rtl

MAIN = """
#include "lz4.h"
#include "zlib.h"
#include <cstdio>
int main(int, char** arguments) {
    std::vector<unsigned char> in, out;
    for (int byte; (byte = std::getchar()) != EOF;) in.push_back(static_cast<unsigned char>(byte));
    const int size = static_cast<int>(in.size());
    unsigned long count;
    if (arguments[1][0] == 'l') {
        const int bound = LZ4_compressBound(size);
        out.resize(bound);
        const char* from = reinterpret_cast<const char*>(in.data());
        char* to = reinterpret_cast<char*>(out.data());
        if (LZ4_compress_default(from, to, size, bound - 1)) return 1;
        count = LZ4_compress_default(from, to, size, bound);
    } else {
        out.resize(compressBound(size));
        count = compressBound(size) - 1;
        if (compress2(out.data(), &count, in.data(), size, 9) == Z_OK) return 2;
        count = compressBound(size);
        if (compress2(out.data(), &count, in.data(), size, 9) != Z_OK) return 3;
    }
    std::fwrite(out.data(), 1, count, stdout);
}
"""
SIZES = [0, 1, 5, 12, 13, 14, 17, 18, 100, 254, 269, 270, 271, 525, 1000, 65534, 65535, 65536, 131071, 200000]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codecs")
    (folder / "main.cpp").write_text(MAIN)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-fsanitize=address,undefined", f"-I{TRACE_CODECS}"]
    compiler = require("g++", "install the Debian package g++")
    subprocess.run([compiler, *flags, "main.cpp", "-o", "codec"], cwd=folder, check=True)
    return folder / "codec"


def unlz4(block: bytes) -> bytes:
    """Inverse of LZ4's block format; fails where a match reaches too far back or stands too near the end."""
    out, at, last_match = bytearray(), 0, None

    def more(length: int) -> int:
        nonlocal at
        while length >= 15:
            byte, at = block[at], at + 1
            length += byte
            if byte < 255:
                break
        return length

    while True:
        token, at = block[at], at + 1
        literals = more(token >> 4)
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            break
        offset, at = int.from_bytes(block[at : at + 2], "little"), at + 2
        match, start = more(token & 15) + 4, len(out)
        assert 0 < offset <= start
        last_match = start
        for _ in range(match):
            out.append(out[-offset])
    assert last_match is None or (len(out) - last_match >= 12 and literals >= 5)
    return bytes(out)


def samples() -> list[bytes]:
    rng = random.Random(0)
    made = []
    for size in SIZES:
        made += [bytes(size), rng.randbytes(size), bytes(rng.choice(b"ab") for _ in range(size))]
        made.append((rng.randbytes(37) * (size // 37 + 1))[:size])
    return [*made, b"once" + bytes(70000) + b"once" + bytes(100)]  # farther back than a match may reach


def test_both_codecs_are_undone(program: Path) -> None:
    for data in samples():
        packed = {
            kind: subprocess.run([program, kind], input=data, capture_output=True, check=True).stdout for kind in "lz"
        }
        assert unlz4(packed["l"]) == data
        assert zlib.decompress(packed["z"]) == data


def test_what_repeats_gets_smaller(program: Path) -> None:
    packed = subprocess.run([program, "l"], input=b"value " * 10000, capture_output=True, check=True).stdout
    assert len(packed) < 300
