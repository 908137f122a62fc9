"""The torch modules: image networks, Show and Tell, the two towers, and their files."""
