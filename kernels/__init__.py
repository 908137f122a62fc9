"""The room 'kernels'."""
