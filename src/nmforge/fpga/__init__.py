"""The accelerator: hand-written SystemVerilog in rtl/, and what generates, simulates and sizes it."""
