"""The truth: slow, short, obvious. Every fast kernel is held to it by the tests."""
