"""The room 'query'."""
