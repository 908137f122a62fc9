"""Is the audit sound? Classifiers that never ask the model, contamination between the sets, and the verdict."""
