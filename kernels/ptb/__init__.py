"""The PTB tokeniser that pycocoevalcap runs in Java, without Java."""
