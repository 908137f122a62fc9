// Who holds the GIL, and what becomes of a thread that asks for it while the interpreter ends.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace m4i::python {

// Up to CPython 3.13 a thread that asks an ending interpreter for the GIL is ended where it stands, by unwinding it. Its
// destructors would count references down without the GIL, and one that may not throw aborts the process. So it rests for
// ever, as it does from 3.14 on; it ends with the process.
[[noreturn]] inline void rest() {
    while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

inline void take_gil(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) {  // it throws nothing else
        rest();
    }
}

// Calls what runs Python, where the GIL may go and come.
template <typename Call>
auto in_python(Call call) {
#ifdef __GLIBCXX__
    try {
        return call();
    } catch (const abi::__forced_unwind&) {
        rest();
    }
#else
    return call();
#endif
}

// Gives the GIL away, and takes it again.
class Released {
public:
    Released() : state_(PyEval_SaveThread()) {}
    ~Released() { take_gil(state_); }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

private:
    PyThreadState* const state_;
};

}  // namespace m4i::python
