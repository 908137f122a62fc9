// The Python face of the overlap core.
#include <nanobind/nanobind.h>

NB_MODULE(_core, m) { m.doc() = "Overlap statistics of caption pairs."; }
