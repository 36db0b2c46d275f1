"""Matrix products of bf16 numbers, and Hessians with their inverses."""
