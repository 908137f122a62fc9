"""The room 'features'."""
