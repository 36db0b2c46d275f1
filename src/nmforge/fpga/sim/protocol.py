"""What Python and the testbenches tell each other: records of little-endian numbers, and how a job ends.

The layout is said here only. `protocol_header` is the C++ header `protocol.hpp` that a simulator is compiled with.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """How a job ended."""

    DONE = 0
    INDEX_ERROR = 1  # the loader rejected offsets that do not ascend
    NO_PROGRESS = 2  # nothing moved any more
    BROKEN_OFFER = 3  # a beat or an answer was withdrawn or changed before it was taken


@dataclass(frozen=True)
class Record:
    """A struct of equal numbers: its C++ name, their type, and each field with what it means."""

    name: str
    number: str  # uint32_t or uint64_t
    fields: Mapping[str, str]

    @property
    def layout(self) -> struct.Struct:
        """As Python's struct module reads it."""
        return struct.Struct(f"<{len(self.fields)}{'I' if self.number == 'uint32_t' else 'Q'}")

    @property
    def size(self) -> int:
        """Bytes."""
        return self.layout.size

    def pack(self, values: Mapping[str, int]) -> bytes:
        """The bytes of a record; `values` has every field by name, in any order."""
        if values.keys() != self.fields.keys():
            raise ValueError(f"{self.name} takes the fields {sorted(self.fields)}, not {sorted(values)}")
        return self.layout.pack(*(values[name] for name in self.fields))

    def unpack(self, data: bytes, offset: int = 0) -> dict[str, int]:
        """The fields of the record that starts at `offset`."""
        return dict(zip(self.fields, self.layout.unpack_from(data, offset), strict=True))

    def declaration(self) -> str:
        """The struct in C++."""
        lines = "".join(f"    {self.number} {name};  // {meaning}\n" for name, meaning in self.fields.items())
        return f"struct {self.name} {{\n{lines}}};\nstatic_assert(sizeof({self.name}) == {self.size});\n"


STALLS = "percent of cycles in which an idle stream holds back its next beat"
ENGINE_JOB = Record("EngineJob", "uint32_t", {
    "keep": "steps of a window",
    "groups_per_tile": "groups of a row of weights",
    "steps_per_group": "keep * windows_per_group",
    "windows_per_group": "windows of one lane",
    "groups_per_block": "groups of a block of the weight image",
    "row_tiles": "tiles of output channels",
    "column_tiles": "tiles of tokens",
    "code_bytes": "one beat of s_code",
    "index_bytes": "one beat of s_index, 0 where there is no such stream",
    "mult_bytes": "one beat of s_mult",
    "act_bytes": "one beat of s_act",
    "acc_bytes": "one beat of m_acc",
    "beats_per_tile": "beats of m_acc for one tile",
    "act_once": "1 where the engine keeps the activations of a column tile",
    "seed": "of the stalls",
    "stall_code": STALLS,
    "stall_offsets": STALLS,
    "stall_mult": STALLS,
    "stall_act": STALLS,
    "stall_sink": "percent of cycles in which no sum is taken",
    "memory_rate": "1/256 bytes a cycle, 0 for a memory without limits",
    "memory_latency": "cycles from a request to its burst",
    "refresh_interval": "cycles",
    "refresh_cycles": "cycles of every interval in which the memory stands still",
})  # fmt: skip
ENGINE_OUTCOME = Record("EngineOutcome", "uint64_t", {
    "cycles": "from the first offered beat to the last accepted sum",
    "status": "a Status",
    "taken": "beats of codes taken before an error",
    "weight_bytes": "bytes read of the weight image",
})  # fmt: skip
DEVICE_JOB = Record("DeviceJob", "uint32_t", {
    "keep": "registers of the device",
    "groups_per_tile": "",
    "column_tiles": "",
    "row_tiles": "",
    "windows": "",
    "word_bytes": "one word of s_weight",
    "act_word_bytes": "one word of s_act",
    "weight_bytes": "the weight image",
    "act_bytes": "the activation image",
    "seed": "of the stalls",
    "stall_weight": STALLS,
    "stall_act": STALLS,
    "stall_sink": "percent of cycles in which no sum is taken",
    "reset_cycles": "how long CONTROL holds the device in reset before the job",
    "stop_words": "words of weights after which the job is abandoned; 0: never, 2^32 - 1: when it is rejected",
    "stop_sums": "sums after which the job is abandoned; 0: never",
})  # fmt: skip
DEVICE_OUTCOME = Record("DeviceOutcome", "uint64_t", {
    "cycles": "from the first offered word to the last accepted sum",
    "status": "a Status",
    "taken": "words of weights taken",
    "counted": "the CYCLES register",
})  # fmt: skip
UNTIL_REJECTED = 2**32 - 1  # as stop_words
RECORDS = (ENGINE_JOB, ENGINE_OUTCOME, DEVICE_JOB, DEVICE_OUTCOME)


def protocol_header() -> str:
    """The text of protocol.hpp."""
    statuses = ", ".join(f"{status.name} = {status.value}" for status in Status)
    records = "\n".join(record.declaration() for record in RECORDS)
    return (
        "// Written by nmforge/fpga/sim/protocol.py, which says the layout.\n#pragma once\n\n#include <cstdint>\n\n"
        f"enum Status : uint64_t {{ {statuses} }};\n\n{records}"
    )
