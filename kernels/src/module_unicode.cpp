// What the core asks of Python about texts that are not ASCII.
#include "python.hpp"
#include "unicode.hpp"

namespace m4i::python {
namespace {

constexpr Py_UCS4 kCapitalSigma = 0x3A3;

nb::object checked(PyObject* made) {
    if (made == nullptr) throw nb::python_error();
    return nb::steal(made);
}

// No initialised static: importing may let go of the GIL, and another thread would wait for this one while it holds it.
PyObject* normalize() {
    static PyObject* function = nullptr;  // kept for ever
    if (function == nullptr) function = nb::module_::import_("unicodedata").attr("normalize").inc_ref().ptr();
    return function;
}

nb::object replaced(const nb::object& text, const char* old, const char* by) {
    return checked(PyUnicode_Replace(text.ptr(), nb::str(old).ptr(), nb::str(by).ptr(), -1));
}

}  // namespace

void tell_characters() {
    unicode::set_characters({
        [](char32_t c) { return static_cast<char32_t>(Py_UNICODE_TOLOWER(static_cast<Py_UCS4>(c))); },
        [](char32_t c) { return Py_UNICODE_ISALNUM(static_cast<Py_UCS4>(c)) != 0; },
        [](char32_t c) { return Py_UNICODE_ISSPACE(static_cast<Py_UCS4>(c)) != 0; },
    });
}

nb::object settled_text(nb::object text) {
    static PyObject* form = nullptr;
    if (form == nullptr) form = checked(PyUnicode_InternFromString("NFC")).release().ptr();
    PyObject* const arguments[] = {form, text.ptr()};
    text = checked(PyObject_Vectorcall(normalize(), arguments, 2, nullptr));
    const Py_ssize_t sigma = PyUnicode_FindChar(text.ptr(), kCapitalSigma, 0, PyUnicode_GET_LENGTH(text.ptr()), 1);
    if (sigma == -2) throw nb::python_error();
    if (sigma < 0) return text;
    return replaced(text, "\u2019", "'").attr("lower")();  // in the order of kernels/tokens.py
}

}  // namespace m4i::python
