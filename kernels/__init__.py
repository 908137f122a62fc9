"""Integer statistics of caption pairs: C++ core, its stand-in, the slow truth, and the choice between them."""
