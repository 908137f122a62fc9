// Pictures: what the module offers beside texts.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>

#include "gil.hpp"
#include "resample.hpp"

namespace nb = nanobind;

namespace m4i::python {
namespace {

using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kLongest = 1 << 20;  // a side in pixels; beyond it the sizes below could overflow

void resample_into(Pixels pixels, Out out, const std::string& machine) {
    const Machine* on = machine_named(machine.c_str());
    if (on == nullptr) throw nb::value_error("no such machine here");
    for (std::size_t axis = 0; axis < 2; ++axis) {
        for (const std::size_t side : {pixels.shape(axis), out.shape(axis)}) {
            if (side == 0 || side > kLongest) throw nb::value_error("a side is out of range");
        }
    }
    if ((pixels.shape(2) != 3 && pixels.shape(2) != 4) || out.shape(2) != 3) throw nb::value_error("wrong channels");
    const Released released;
    resample(pixels.data(), pixels.shape(0), pixels.shape(1), pixels.shape(2), out.data(), out.shape(0), out.shape(1),
             *on);
}

}  // namespace

void bind_pixels(nb::module_& m) {
    m.def("resample", &resample_into, nb::arg("pixels"), nb::arg("out"), nb::arg("machine"));
}

}  // namespace m4i::python
