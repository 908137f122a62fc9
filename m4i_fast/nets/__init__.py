"""The room 'nets'."""
