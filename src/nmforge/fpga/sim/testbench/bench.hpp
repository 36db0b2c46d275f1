// What the testbenches share: random stalls, ports as bytes, files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

// Cycles in which nothing moves, after which nothing will: more than the steps of any tile.
constexpr uint64_t QUIET = 100000;

// Small generator (splitmix64), one per stream, so that one stream's stalls never shift another's.
struct Random {
    uint64_t state;
    bool percent(uint32_t chance) {
        uint64_t z = (state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return (z ^ (z >> 31)) % 100 < chance;
    }
};

// What AXI4-Stream asks of a sender: a beat that is offered stays as it is until it is taken.
struct Offer {
    bool waiting = false, last = false;
    std::vector<uint8_t> data;

    bool kept(bool valid, bool ready, const void* beat, size_t bytes, bool tlast) {
        const auto* from = static_cast<const uint8_t*>(beat);
        const bool same = !waiting || (valid && tlast == last && std::equal(data.begin(), data.end(), from));
        waiting = valid && !ready;
        if (waiting) { data.assign(from, from + bytes); last = tlast; }
        return same;
    }
};

// Verilator ports are little-endian integers or arrays of 32-bit words: bytes go in and out as they are.
template <class Port> void set(Port& port, const uint8_t* bytes, size_t count) {
    std::memset(&port, 0, sizeof port);
    std::memcpy(&port, bytes, count);
}

std::vector<uint8_t> read_all(const char* path) {
    std::vector<uint8_t> data;
    FILE* file = std::fopen(path, "rb");
    if (!file) return data;
    uint8_t buffer[65536];
    for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
        data.insert(data.end(), buffer, buffer + got);
    std::fclose(file);
    return data;
}

}  // namespace
