"""The room 'validity'."""
