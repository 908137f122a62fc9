"""The PTB tokeniser that pycocoevalcap runs in Java (CoreNLP 3.4.1), without Java.

Rules as data (``rules.py``, ``words.py``) in a notation of our own (``notation.py``), what they make (``truth.py``),
and the same as arrays for the C++ core (``tables.py``). The original is under the GPL: nothing here is taken from its
text. Its behaviour was observed, and its jar is run by tests alone.
"""
