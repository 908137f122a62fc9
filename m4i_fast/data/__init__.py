"""The room 'data'."""
