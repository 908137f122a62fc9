"""The room 'train'."""
