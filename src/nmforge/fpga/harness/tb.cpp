// Testbench of nmforge_gemm: plays DRAM and DMA, stalls every stream at random, records the sums.
//
//   Vgemm STIMULUS RESULT
//
// STIMULUS  13 x u32 (struct Header), then the weight image, then the activation image
// RESULT     3 x u64: cycles, status (0 done, 1 offsets do not ascend, 2 no progress), windows launched
//            then the beats of m_acc in the order of arrival
// The images and their address arithmetic are described in docs/accelerator.md; generate.py writes them.
#include "Vgemm.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

struct Header {
    uint32_t groups_per_tile, windows_per_group, groups_per_block, row_tiles, column_tiles;
    uint32_t code_bytes, index_bytes, mult_bytes, act_bytes, acc_bytes;  // one beat of each stream
    uint32_t beats_per_tile, seed;
    uint32_t stall_code, stall_index, stall_mult, stall_act, stall_sink;  // percent, one for each stream
};

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

// An AXI4-Stream source: once it offers a beat it keeps offering it until it is taken.
struct Source {
    uint64_t total, sent = 0;
    bool offering = false;
    Random random;

    bool offer(uint32_t stall_percent) {
        if (!offering && sent < total) offering = !random.percent(stall_percent);
        return offering;
    }
    void taken() { ++sent; offering = false; }
};

// Where the planes of the weight image lie: row tile after row tile, block after block, and in a block
// codes of its windows | offsets of its windows | multipliers of its groups.
struct WeightMap {
    Header h;

    uint64_t bytes(uint64_t groups) const {
        return groups * (h.windows_per_group * uint64_t(h.code_bytes + h.index_bytes) + h.mult_bytes);
    }
    uint64_t groups_in(uint64_t block) const {
        uint64_t left = h.groups_per_tile - block * h.groups_per_block;
        return left < h.groups_per_block ? left : h.groups_per_block;
    }
    uint64_t block_start(uint64_t row_tile, uint64_t block) const {
        return row_tile * bytes(h.groups_per_tile) + bytes(block * h.groups_per_block);
    }
    uint64_t code(uint64_t row_tile, uint64_t window) const {
        uint64_t per_block = uint64_t(h.groups_per_block) * h.windows_per_group;
        return block_start(row_tile, window / per_block) + window % per_block * h.code_bytes;
    }
    uint64_t index(uint64_t row_tile, uint64_t window) const {
        uint64_t per_block = uint64_t(h.groups_per_block) * h.windows_per_group, block = window / per_block;
        return block_start(row_tile, block) + groups_in(block) * h.windows_per_group * h.code_bytes +
               window % per_block * h.index_bytes;
    }
    uint64_t mult(uint64_t row_tile, uint64_t group) const {
        uint64_t block = group / h.groups_per_block;
        return block_start(row_tile, block) +
               groups_in(block) * h.windows_per_group * uint64_t(h.code_bytes + h.index_bytes) +
               group % h.groups_per_block * h.mult_bytes;
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

int main(int argc, char** argv) {
    if (argc != 3) return 64;
    std::vector<uint8_t> stimulus = read_all(argv[1]);
    Header h;
    if (stimulus.size() < sizeof h) return 65;
    std::memcpy(&h, stimulus.data(), sizeof h);
    const WeightMap map{h};
    const uint64_t tiles = uint64_t(h.row_tiles) * h.column_tiles;
    const uint64_t groups = h.groups_per_tile, windows = groups * h.windows_per_group;
    const uint8_t* weights = stimulus.data() + sizeof h;
    const uint8_t* acts = weights + h.row_tiles * map.bytes(groups);
    if (stimulus.size() != sizeof h + h.row_tiles * map.bytes(groups) + h.column_tiles * windows * h.act_bytes)
        return 66;

    Source code{tiles * windows}, index{h.index_bytes ? tiles * windows : 0}, mult{tiles * groups}, act{tiles * windows};
    code.random.state = h.seed * 8ull + 1;
    index.random.state = h.seed * 8ull + 2;
    mult.random.state = h.seed * 8ull + 3;
    act.random.state = h.seed * 8ull + 4;
    Random sink{h.seed * 8ull + 5};

    VerilatedContext context;
    Vgemm top{&context};
    top.groups_per_tile = static_cast<uint16_t>(groups);
    auto tick = [&] { top.aclk = 1; top.eval(); top.aclk = 0; };
    top.aclk = 0;
    top.aresetn = 0;
    for (int i = 0; i < 4; ++i) { top.eval(); tick(); }
    top.aresetn = 1;

    std::vector<uint8_t> result;
    const uint64_t expected = tiles * h.beats_per_tile;
    uint64_t beats = 0, cycles = 0, quiet = 0, status = 0;
    while (beats < expected && !status) {
        // Tiles run over row tiles first: the activations of one column tile are sent again for each.
        if ((top.s_code_tvalid = code.offer(h.stall_code)))
            set(top.s_code_tdata, weights + map.code(code.sent / windows % h.row_tiles, code.sent % windows), h.code_bytes);
        if ((top.s_index_tvalid = index.offer(h.stall_index)))
            set(top.s_index_tdata, weights + map.index(index.sent / windows % h.row_tiles, index.sent % windows), h.index_bytes);
        if ((top.s_mult_tvalid = mult.offer(h.stall_mult)))
            set(top.s_mult_tdata, weights + map.mult(mult.sent / groups % h.row_tiles, mult.sent % groups), h.mult_bytes);
        if ((top.s_act_tvalid = act.offer(h.stall_act)))
            set(top.s_act_tdata, acts + (act.sent / windows / h.row_tiles * windows + act.sent % windows) * h.act_bytes, h.act_bytes);
        top.m_acc_tready = !sink.percent(h.stall_sink);
        top.eval();

        const bool took_code = top.s_code_tvalid && top.s_code_tready;
        const bool took_index = top.s_index_tvalid && top.s_index_tready;
        const bool took_mult = top.s_mult_tvalid && top.s_mult_tready;
        const bool took_act = top.s_act_tvalid && top.s_act_tready;
        const bool gave = top.m_acc_tvalid && top.m_acc_tready;
        if (gave) {
            const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&top.m_acc_tdata);
            result.insert(result.end(), bytes, bytes + h.acc_bytes);
            ++beats;
            if (bool(top.m_acc_tlast) != (beats % h.beats_per_tile == 0)) status = 2;
        }
        tick();
        ++cycles;
        if (took_code) code.taken();
        if (took_index) index.taken();
        if (took_mult) mult.taken();
        if (took_act) act.taken();
        if (top.index_error) status = 1;
        quiet = took_code || gave ? 0 : quiet + 1;
        if (quiet > 100000) status = 2;
    }
    top.final();

    FILE* file = std::fopen(argv[2], "wb");
    if (!file) return 67;
    const uint64_t head[3] = {cycles, status, code.sent};
    bool written = std::fwrite(head, sizeof head, 1, file) == 1;
    written = written && std::fwrite(result.data(), 1, result.size(), file) == result.size();
    return std::fclose(file) == 0 && written ? 0 : 68;
}
