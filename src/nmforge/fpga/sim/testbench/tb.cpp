// Testbench of an engine: plays DRAM and DMA, stalls every stream at random, records the sums.
//
//   Vengine STIMULUS RESULT [TRACE.fst or TOGGLES.dat]
//
// STIMULUS  an EngineJob, then the weight image, then the activation image
// RESULT    an EngineOutcome, then the beats of m_acc in the order of arrival
//
// Both structs are in protocol.hpp, which Python writes into the build folder (nmforge/fpga/sim/protocol.py).
// After an error the bench runs on until nothing moves any more, and records what still comes.
// The images and their address arithmetic are described in docs/accelerator.md; images/weight_image.py writes them.
#include "Vengine.h"
#include "verilated.h"
#include "bench.hpp"
#include "protocol.hpp"
#ifdef TRACE
#include "verilated_fst_c.h"
#endif

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace {

// An AXI4-Stream source: once it offers a beat it keeps offering it until it is taken.
struct StreamSource {
    uint64_t total, sent = 0;
    bool offering = false;
    Random random;

    bool offer(uint32_t stall_percent) {
        if (!offering && sent < total) offering = !random.percent(stall_percent);
        return offering;
    }
    void taken() { ++sent; offering = false; }
};

// Where the planes of the weight image lie: tile after tile, block after block, and in a block
// codes of its steps | offsets of its steps | multipliers of its groups.
struct WeightMap {
    EngineJob h;

    uint64_t bytes(uint64_t groups) const {
        return groups * (h.steps_per_group * uint64_t(h.code_bytes + h.index_bytes) + h.mult_bytes);
    }
    uint64_t groups_in(uint64_t block) const {
        uint64_t left = h.groups_per_tile - block * h.groups_per_block;
        return left < h.groups_per_block ? left : h.groups_per_block;
    }
    uint64_t block_start(uint64_t tile, uint64_t block) const {
        return tile * bytes(h.groups_per_tile) + bytes(block * h.groups_per_block);
    }
    uint64_t code(uint64_t tile, uint64_t step) const {
        uint64_t per_block = uint64_t(h.groups_per_block) * h.steps_per_group;
        return block_start(tile, step / per_block) + step % per_block * h.code_bytes;
    }
    uint64_t index(uint64_t tile, uint64_t step) const {
        uint64_t per_block = uint64_t(h.groups_per_block) * h.steps_per_group, block = step / per_block;
        return block_start(tile, block) + groups_in(block) * h.steps_per_group * h.code_bytes +
               step % per_block * h.index_bytes;
    }
    uint64_t mult(uint64_t tile, uint64_t group) const {
        uint64_t block = group / h.groups_per_block;
        return block_start(tile, block) +
               groups_in(block) * h.steps_per_group * uint64_t(h.code_bytes + h.index_bytes) +
               group % h.groups_per_block * h.mult_bytes;
    }
};

// External memory that is read from front to back into a buffer of two blocks and of what arrives within the latency:
// a token bucket with the latency of a burst and with refresh gaps. Rates are in 1/256 byte a cycle. A burst is asked
// for as soon as the buffer has room for it, so latency costs only what the buffer cannot hide.
struct MemoryModel {
    static constexpr uint64_t BURST = 64;
    EngineJob h;
    uint64_t capacity, total;
    uint64_t asked = 0, arrived = 0, bucket = 0, cycle = 0;
    std::vector<uint64_t> due;  // cycle from which burst i may arrive

    bool refreshing() const { return h.refresh_interval && cycle % h.refresh_interval < h.refresh_cycles; }
    void tick(uint64_t consumed) {  // consumed: bytes that the buffer no longer holds
        while (asked < total && asked + BURST <= consumed + capacity) {
            due.push_back(cycle + h.memory_latency);
            asked += BURST;
        }
        if (!refreshing()) bucket += h.memory_rate;
        const uint64_t most = 2 * BURST * 256;
        while (bucket >= BURST * 256 && arrived / BURST < due.size() && due[arrived / BURST] <= cycle) {
            arrived += BURST;
            bucket -= BURST * 256;
        }
        if (bucket > most) bucket = most;
        ++cycle;
    }
    bool has(uint64_t end) const { return !h.memory_rate || arrived >= end || arrived >= total; }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 64;
    std::vector<uint8_t> stimulus = read_all(argv[1]);
    EngineJob h;
    if (stimulus.size() < sizeof h) return 65;
    std::memcpy(&h, stimulus.data(), sizeof h);
    const WeightMap map{h};
    const uint64_t tiles = uint64_t(h.row_tiles) * h.column_tiles, act_tiles = h.act_once ? h.column_tiles : tiles;
    const uint64_t groups = h.groups_per_tile, steps = groups * h.steps_per_group, windows = groups * h.windows_per_group;
    const uint64_t image = h.row_tiles * map.bytes(groups);
    const uint8_t* weights = stimulus.data() + sizeof h;
    const uint8_t* acts = weights + image;
    if (stimulus.size() != sizeof h + image + h.column_tiles * windows * h.act_bytes) return 66;

    StreamSource code{tiles * steps}, index{h.index_bytes ? tiles * steps : 0}, mult{tiles * groups}, act{act_tiles * windows};
    code.random.state = h.seed * 8ull + 1;
    index.random.state = h.seed * 8ull + 2;
    mult.random.state = h.seed * 8ull + 3;
    act.random.state = h.seed * 8ull + 4;
    Random sink{h.seed * 8ull + 5};
    const uint64_t under_way = uint64_t(h.memory_rate) * h.memory_latency / 256;
    MemoryModel memory{h, 2 * map.bytes(h.groups_per_block) + under_way + MemoryModel::BURST, image * h.column_tiles};

    VerilatedContext context;
    context.randReset(2);  // registers start as anything: what is not reset shows
    context.randSeed(static_cast<int>(h.seed) + 1);
    auto top = std::make_unique<Vengine>(&context);
#ifdef TRACE
    context.traceEverOn(true);
    VerilatedFstC trace;
    top->trace(&trace, 99);
    trace.open(argc > 3 ? argv[3] : "trace.fst");
#endif
    uint64_t half_cycle = 0;
    auto evaluate = [&] {
        top->eval();
#ifdef TRACE
        trace.dump(half_cycle);
#endif
    };
    auto tick = [&] { ++half_cycle; top->aclk = 1; evaluate(); ++half_cycle; top->aclk = 0; };
    top->keep = static_cast<uint8_t>(h.keep);
    top->groups_per_tile = static_cast<uint16_t>(groups);
#ifdef GEMV
    top->tiles_per_token = static_cast<uint16_t>(h.row_tiles);
#endif
    top->aclk = 0;
    top->aresetn = 0;
    for (int i = 0; i < 80; ++i) { evaluate(); tick(); }  // reset travels along the rows
    top->aresetn = 1;
    evaluate();
    tick();  // the engine wakes up

    std::vector<uint8_t> result;
    const uint64_t expected = tiles * h.beats_per_tile;
    uint64_t beats = 0, quiet = 0;
    EngineOutcome found{0, DONE, 0, 0};
    Offer offer;
    while (beats < expected && found.status == DONE) {
        // Tiles run over row tiles first, and the image is read again for every column tile. A beat is offered
        // when the memory has delivered its last byte.
        auto place = [&](uint64_t tile, uint64_t at, uint64_t length, const uint8_t*& from) {
            from = weights + at;
            return memory.has(tile / h.row_tiles * image + at + length);
        };
        const uint8_t* from;
        const uint64_t code_tile = code.sent / steps, index_tile = index.sent / steps, mult_tile = mult.sent / groups;
        top->s_code_tvalid = code.sent < code.total &&
            place(code_tile, map.code(code_tile % h.row_tiles, code.sent % steps), h.code_bytes, from) && code.offer(h.stall_code);
        if (top->s_code_tvalid) set(top->s_code_tdata, from, h.code_bytes);
        top->s_index_tvalid = index.sent < index.total &&
            place(index_tile, map.index(index_tile % h.row_tiles, index.sent % steps), h.index_bytes, from) && index.offer(h.stall_offsets);
        if (top->s_index_tvalid) set(top->s_index_tdata, from, h.index_bytes);
        top->s_mult_tvalid = mult.sent < mult.total &&
            place(mult_tile, map.mult(mult_tile % h.row_tiles, mult.sent % groups), h.mult_bytes, from) && mult.offer(h.stall_mult);
        if (top->s_mult_tvalid) set(top->s_mult_tdata, from, h.mult_bytes);
        if ((top->s_act_tvalid = act.offer(h.stall_act))) {
            const uint64_t column_tile = act.sent / windows / (h.act_once ? 1 : h.row_tiles);
            set(top->s_act_tdata, acts + (column_tile * windows + act.sent % windows) * h.act_bytes, h.act_bytes);
        }
        top->m_acc_tready = !sink.percent(h.stall_sink);
        evaluate();

        const bool took_code = top->s_code_tvalid && top->s_code_tready;
        const bool took_index = top->s_index_tvalid && top->s_index_tready;
        const bool took_mult = top->s_mult_tvalid && top->s_mult_tready;
        const bool took_act = top->s_act_tvalid && top->s_act_tready;
        const bool gave = top->m_acc_tvalid && top->m_acc_tready;
        if (!offer.kept(top->m_acc_tvalid, top->m_acc_tready, &top->m_acc_tdata, h.acc_bytes, top->m_acc_tlast)) found.status = BROKEN_OFFER;
        if (gave) {
            const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&top->m_acc_tdata);
            result.insert(result.end(), bytes, bytes + h.acc_bytes);
            ++beats;
            if (bool(top->m_acc_tlast) != (beats % h.beats_per_tile == 0)) found.status = NO_PROGRESS;
        }
        tick();
        ++found.cycles;
        if (took_code) code.taken();
        if (took_index) index.taken();
        if (took_mult) mult.taken();
        if (took_act) act.taken();
        const uint64_t next = code.sent / steps;  // blocks before the one the codes are in are used up
        memory.tick(next / h.row_tiles * image +
                    map.block_start(next % h.row_tiles, code.sent % steps / h.steps_per_group / h.groups_per_block));
        if (!top->index_error) found.taken = code.sent;
        quiet = took_code || took_act || gave ? 0 : quiet + 1;
        if (quiet > QUIET) found.status = top->index_error ? INDEX_ERROR : NO_PROGRESS;
    }
    top->final();
#ifdef TRACE
    trace.close();
#endif
#ifdef TOGGLES
    context.coveragep()->write(argc > 3 ? argv[3] : "toggles.dat");
#endif

    FILE* file = std::fopen(argv[2], "wb");
    if (!file) return 67;
    found.weight_bytes = memory.arrived;
    bool written = std::fwrite(&found, sizeof found, 1, file) == 1;
    written = written && std::fwrite(result.data(), 1, result.size(), file) == result.size();
    return std::fclose(file) == 0 && written ? 0 : 68;
}
