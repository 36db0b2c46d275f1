"""FPGA boards, one file each in catalogue/, and LLaMA-7B modelled on them."""
