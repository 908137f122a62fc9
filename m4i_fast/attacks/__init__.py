"""Attacks: features of the shadow's records in, a head out; features of the target's records in, scores out."""
