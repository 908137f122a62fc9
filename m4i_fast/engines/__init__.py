"""The room 'engines'."""
