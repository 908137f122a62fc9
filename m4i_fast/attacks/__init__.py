"""The room 'attacks'."""
