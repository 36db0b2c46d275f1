"""Our kernels: C++ on the CPU, Triton on the GPU, each with its repacking; `_native` is the compiled extension."""
