"""The room 'text'."""
