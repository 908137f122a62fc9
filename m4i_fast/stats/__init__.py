"""The room 'stats'."""
