"""The accelerator in simulation, compared with the reference."""
