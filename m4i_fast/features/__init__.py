"""Feature tables: what an attack sees of a record."""
