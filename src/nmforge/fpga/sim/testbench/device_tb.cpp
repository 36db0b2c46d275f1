// Testbench of nmforge_engine: sets its registers over AXI4-Lite, loads both images, records the sums.
//
//   Vengine STIMULUS RESULT
//
// STIMULUS  jobs, one after the other: a DeviceJob, the weight image, the activation image
// RESULT    of every job a DeviceOutcome, then its int32 sums in the order of arrival
//
// Both structs are in protocol.hpp, which Python writes into the build folder (nmforge/fpga/sim/protocol.py).
// After an error the bench runs on until nothing moves any more, and records what still comes. Addresses come before
// their data, and answers are taken late, as AXI4-Lite allows.
// Between two jobs the engine is reset by its CONTROL register for `reset_cycles`, with new settings. A job may be
// abandoned in full swing after some words of weights or some sums, or because it is rejected: the next one must not
// notice, and none of its sums are recorded. A job that ends in any other way without being done is the last.
#include "Vengine.h"
#include "verilated.h"
#include "bench.hpp"
#include "protocol.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace {

bool is_abandoned(const DeviceJob& job) { return job.stop_words || job.stop_sums; }

uint64_t image_bytes(const DeviceJob& job) { return uint64_t(job.weight_bytes) + job.act_bytes; }

enum Register : uint8_t {
    CONTROL = 0x08, STATUS = 0x0C, KEEP = 0x10, GROUPS = 0x14, COLUMN_TILES = 0x18, ROW_TILES = 0x1C, WINDOWS = 0x20,
    CYCLES = 0x24
};

constexpr int PATIENCE = 10000;  // cycles in which a register answers, or never will

// A stream of words; once it offers a word it keeps offering it until it is taken.
struct StreamSource {
    const uint8_t* data;
    uint64_t bytes, word, at = 0;
    Random random;
    uint32_t stall;
    bool offering = false;

    bool offer() {
        if (!offering && at < bytes) offering = !random.percent(stall);
        return offering;
    }
    void taken() { at += word; offering = false; }
};

struct Device {
    VerilatedContext context;
    std::unique_ptr<Vengine> top;
    bool answers_stay = true, answers = true;

    Device() {
        context.randReset(2);  // registers start as anything: what is not reset shows
        context.randSeed(1);
        top = std::make_unique<Vengine>(&context);
        top->s_axi_awvalid = top->s_axi_wvalid = top->s_axi_bready = top->s_axi_arvalid = top->s_axi_rready = 0;
        top->s_weight_tvalid = top->s_act_tvalid = top->m_acc_tready = 0;
        top->aresetn = 0;
        for (int i = 0; i < 80; ++i) tick();  // reset travels along the rows
        top->aresetn = 1;
    }
    void tick() { top->aclk = 1; top->eval(); top->aclk = 0; top->eval(); }
    // Clock until a handshake is there.
    void wait(const uint8_t& there) {
        for (int i = 0; !there && answers; ++i) { tick(); answers = i < PATIENCE; }
    }
    void write(Register address, uint32_t value) {
        top->s_axi_awaddr = address;
        top->s_axi_wdata = value;
        top->s_axi_awvalid = 1;
        top->eval();
        for (int i = 0; i < 3; ++i) tick();
        top->s_axi_wvalid = 1;
        top->eval();
        wait(top->s_axi_awready);
        tick();
        top->s_axi_awvalid = top->s_axi_wvalid = 0;
        top->eval();
        wait(top->s_axi_bvalid);
        for (int i = 0; i < 3; ++i) { tick(); answers_stay &= top->s_axi_bvalid; }
        top->s_axi_bready = 1;
        tick();
        top->s_axi_bready = 0;
        top->eval();
    }
    uint32_t read(Register address) {
        top->s_axi_araddr = address;
        top->s_axi_arvalid = 1;
        top->eval();
        wait(top->s_axi_arready);
        tick();
        top->s_axi_arvalid = 0;
        top->eval();
        wait(top->s_axi_rvalid);
        const uint32_t value = top->s_axi_rdata;
        for (int i = 0; i < 3; ++i) { tick(); answers_stay &= top->s_axi_rvalid && top->s_axi_rdata == value; }
        top->s_axi_rready = 1;
        tick();
        top->s_axi_rready = 0;
        top->eval();
        return value;
    }
};

void set_up(Device& device, const DeviceJob& h) {
    device.write(CONTROL, 1);
    for (uint32_t i = 0; i < h.reset_cycles; ++i) device.tick();
    device.write(KEEP, h.keep);
    device.write(GROUPS, h.groups_per_tile);
    device.write(COLUMN_TILES, h.column_tiles);
    device.write(ROW_TILES, h.row_tiles);
    device.write(WINDOWS, h.windows);
    device.write(CONTROL, 0);
}

DeviceOutcome run(Device& device, const DeviceJob& h, const uint8_t* image, std::vector<int32_t>& sums) {
    StreamSource weights{image, h.weight_bytes, h.word_bytes, 0, {h.seed * 4ull + 1}, h.stall_weight};
    StreamSource acts{image + h.weight_bytes, h.act_bytes, h.act_word_bytes, 0, {h.seed * 4ull + 2}, h.stall_act};
    Random sink{h.seed * 4ull + 3};
    Vengine& top = *device.top;
    DeviceOutcome found{0, DONE, 0, 0};
    const uint64_t tiles = uint64_t(h.row_tiles) * h.column_tiles;
    uint64_t tiles_out = 0, quiet = 0;
    Offer offer;
    const auto stopped = [&] {
        return (h.stop_words && weights.at >= uint64_t(h.stop_words) * h.word_bytes) ||
               (h.stop_sums && sums.size() >= h.stop_sums);
    };
    while (tiles_out < tiles && found.status == DONE && !stopped()) {
        if ((top.s_weight_tvalid = weights.offer())) set(top.s_weight_tdata, weights.data + weights.at, h.word_bytes);
        if ((top.s_act_tvalid = acts.offer())) set(top.s_act_tdata, acts.data + acts.at, h.act_word_bytes);
        top.m_acc_tready = !sink.percent(h.stall_sink);
        top.eval();
        const bool took_weight = top.s_weight_tvalid && top.s_weight_tready;
        const bool took_act = top.s_act_tvalid && top.s_act_tready;
        const bool gave = top.m_acc_tvalid && top.m_acc_tready;
        if (!offer.kept(top.m_acc_tvalid, top.m_acc_tready, &top.m_acc_tdata, sizeof top.m_acc_tdata, top.m_acc_tlast))
            found.status = BROKEN_OFFER;
        if (gave) {
            sums.push_back(static_cast<int32_t>(top.m_acc_tdata));
            tiles_out += top.m_acc_tlast;
        }
        device.tick();
        ++found.cycles;
        if (took_weight) weights.taken();
        if (took_act) acts.taken();
        quiet = took_weight || took_act || gave ? 0 : quiet + 1;
        if (quiet > QUIET) found.status = NO_PROGRESS;
    }
    top.s_weight_tvalid = top.s_act_tvalid = top.m_acc_tready = 0;
    found.taken = weights.at / h.word_bytes;
    found.counted = device.read(CYCLES);
    if (device.read(STATUS) & 1 && found.status != BROKEN_OFFER) found.status = INDEX_ERROR;
    if (!device.answers_stay) found.status = BROKEN_OFFER;
    if (!device.answers) found.status = NO_PROGRESS;
    return found;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 64;
    const std::vector<uint8_t> stimulus = read_all(argv[1]);
    FILE* file = std::fopen(argv[2], "wb");
    if (!file) return 67;
    Device device;
    bool written = true;
    uint64_t status = DONE;
    for (size_t at = 0; at < stimulus.size() && status == DONE && written;) {
        DeviceJob h;
        if (stimulus.size() - at < sizeof h) return 65;
        std::memcpy(&h, stimulus.data() + at, sizeof h);
        at += sizeof h;
        if (stimulus.size() - at < image_bytes(h)) return 66;
        set_up(device, h);
        std::vector<int32_t> sums;
        const DeviceOutcome found = run(device, h, stimulus.data() + at, sums);
        at += image_bytes(h);
        status = is_abandoned(h) && found.status == INDEX_ERROR ? uint64_t(DONE) : found.status;
        written = std::fwrite(&found, sizeof found, 1, file) == 1;
        if (is_abandoned(h)) continue;
        written = written && std::fwrite(sums.data(), sizeof(int32_t), sums.size(), file) == sums.size();
    }
    device.top->final();
    return std::fclose(file) == 0 && written ? 0 : 68;
}
