"""The room 'bench'."""
