"""The room 'stages'."""
