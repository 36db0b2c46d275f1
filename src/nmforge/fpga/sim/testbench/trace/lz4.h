// The two functions of liblz4 that Verilator's waveform writer calls. They are here because the library's header is a
// package of the system, which takes root to install; with this file a waveform needs nothing but the wheels.
//
// LZ4 block:  token | more literal length | literals | offset u16 | more match length | token | ...
// token = literal length (high four bits), match length - 4 (low ones); 15 means that bytes follow, of which those of
// 255 are followed by another. The last 5 bytes are literals, and no match starts in the last 12.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

namespace lz4_block {

constexpr int SHORTEST = 4, FARTHEST = 65535, LAST_START = 12, LAST_LITERALS = 5, SLOT_BITS = 12;

inline uint32_t word(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// What a token's four bits could not hold.
inline uint8_t* length(uint8_t* out, int left) {
    for (; left >= 255; left -= 255) *out++ = 255;
    *out++ = static_cast<uint8_t>(left);
    return out;
}

// Literals, then (where `match` is not 0) a copy of `match` bytes from `offset` bytes ago.
inline uint8_t* sequence(uint8_t* out, const uint8_t* literals, int count, int offset, int match) {
    const int more = match ? match - SHORTEST : 0;
    *out++ = static_cast<uint8_t>((count < 15 ? count : 15) << 4 | (more < 15 ? more : 15));
    if (count >= 15) out = length(out, count - 15);
    if (count) std::memcpy(out, literals, count);
    out += count;
    if (!match) return out;
    *out++ = static_cast<uint8_t>(offset);
    *out++ = static_cast<uint8_t>(offset >> 8);
    return more >= 15 ? length(out, more - 15) : out;
}

}  // namespace lz4_block

// Returns the compressed bytes, or 0 where `capacity` is less than LZ4_compressBound(size).
inline int LZ4_compress_default(const char* from, char* to, int size, int capacity) {
    using namespace lz4_block;
    if (capacity < LZ4_compressBound(size)) return 0;
    const uint8_t* source = reinterpret_cast<const uint8_t*>(from);
    uint8_t *begin = reinterpret_cast<uint8_t*>(to), *out = begin;
    std::vector<int> seen(1 << SLOT_BITS, -1);  // where four bytes with this hash stood last
    int at = 0, literals = 0;
    while (at + LAST_START < size) {
        int& slot = seen[word(source + at) * 2654435761u >> (32 - SLOT_BITS)];
        const int before = slot;
        slot = at;
        if (before < 0 || at - before > FARTHEST || word(source + before) != word(source + at)) {
            ++at;
            continue;
        }
        int match = SHORTEST;
        while (at + match < size - LAST_LITERALS && source[before + match] == source[at + match]) ++match;
        out = sequence(out, source + literals, at - literals, at - before, match);
        at += match;
        literals = at;
    }
    return static_cast<int>(sequence(out, source + literals, size - literals, 0, 0) - begin);
}
