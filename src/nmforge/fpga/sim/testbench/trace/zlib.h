// The two functions of zlib that Verilator's waveform writer calls. They are here because the library's header is a
// package of the system, which takes root to install; with this file a waveform needs nothing but the wheels.
//
// Nothing is made smaller: the stream holds stored blocks, and the writer then keeps the original. What a waveform
// consists of, its value changes, goes through LZ4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;
constexpr int Z_OK = 0, Z_BUF_ERROR = -5;

inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

inline int compress2(Bytef* out, uLongf* capacity, const Bytef* source, uLong size, int /*level*/) {
    if (*capacity < compressBound(size)) return Z_BUF_ERROR;
    Bytef* const begin = out;
    *out++ = 0x78;  // deflate, window of 32 KB
    *out++ = 0x01;
    uint32_t low = 1, high = 0;  // Adler-32
    for (uLong i = 0; i < size; ++i) {
        low = (low + source[i]) % 65521;
        high = (high + low) % 65521;
    }
    do {
        const uLong count = size < 65535 ? size : 65535;
        *out++ = count == size;  // the last block or not, stored
        for (const uLong field : {count, ~count}) {
            *out++ = static_cast<Bytef>(field);
            *out++ = static_cast<Bytef>(field >> 8);
        }
        if (count) std::memcpy(out, source, count);
        out += count;
        source += count;
        size -= count;
    } while (size);
    for (const uint32_t half : {high, low}) {
        *out++ = static_cast<Bytef>(half >> 8);
        *out++ = static_cast<Bytef>(half);
    }
    *capacity = static_cast<uLongf>(out - begin);
    return Z_OK;
}
