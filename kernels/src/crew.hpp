// Records worked through by several threads. Each looks up a batch of its own under the GIL, in turns, and works on it
// without: a string's count of references is written by the core that reads its text, and not fetched from another.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gil.hpp"

namespace m4i::python {

namespace nb = nanobind;

// `gather(job, record)` fills a job with records from `record` on, at least one, and gives the next one after them; it
// holds the GIL, and no two of a crew's are called at once. `work(job)` does a job.
template <typename Job, typename Work, typename Gather>
class Crew {
public:
    // `works`: one a thread, the caller's first.
    Crew(std::vector<Work> works, std::size_t records, Gather gather)
        : gather_(gather), records_(records), hands_(works.size()) {
        for (std::size_t i = 0; i < works.size(); ++i) hands_[i].work.emplace(std::move(works[i]));
    }

    // With the GIL, which is free meanwhile. Throws what the earliest record has thrown, or what Python has to do with
    // signals. No thread is started for what the caller has looked up at once.
    void run() {
        if (records_ == 0) return;
        next_ = gather_(hands_[0].job, 0);
        std::vector<std::thread> threads;
        threads.reserve(hands_.size());
        interpreter_ = PyInterpreterState_Get();
        const std::size_t helpers = std::min(hands_.size() - 1, records_ - next_);
        PyThreadState* const state = PyEval_SaveThread();
        try {
            for (std::size_t i = 1; i <= helpers; ++i) threads.emplace_back([this, i] { help(hands_[i]); });
        } catch (const std::exception&) {  // the system gives no more: those that there are do the work
        }
        do {
            work(hands_[0]);
        } while (look_up(hands_[0].job, state, true));
        for (std::thread& thread : threads) thread.join();
        take_gil(state);
        if (error_) std::rethrow_exception(error_);
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }

private:
    // Aligned: what one thread writes stands in no line of another's, nor in the one that is fetched with it.
    struct alignas(128) Hand {
        std::optional<Work> work;
        Job job;
    };

    void help(Hand& hand) {
        PyThreadState* const state = PyThreadState_New(interpreter_);
        if (state == nullptr) return;  // no memory: the others do the work
        while (look_up(hand.job, state, false)) work(hand);
        take_gil(state);
        PyThreadState_Clear(state);
        PyThreadState_DeleteCurrent();  // gives the GIL away
    }

    void work(Hand& hand) {
        try {
            (*hand.work)(hand.job);
        } catch (...) {
            fail(hand.job.first);
        }
    }

    // Whether there was something left. The turn is taken before the GIL, and so nobody waits for a turn who holds the GIL.
    bool look_up(Job& job, PyThreadState* state, bool caller) {
        const std::lock_guard turn(turn_);
        if (next_ >= records_ || failed_.load()) return false;
        take_gil(state);
        try {
            if (caller && PyErr_CheckSignals() != 0) throw nb::python_error();  // Python looks at them in one thread only
            next_ = gather_(job, next_);
        } catch (...) {
            fail(next_);
        }
        PyEval_SaveThread();
        return !failed_.load();
    }

    // The exception that is being handled came of records from `first` on. All before them were looked up earlier, and
    // are worked on to their end: so which error is the earliest is no matter of who was faster.
    void fail(std::size_t first) {
        std::exception_ptr error = std::current_exception();
        const std::lock_guard lock(failing_);
        if (first < failed_at_) {
            failed_at_ = first;
            std::swap(error_, error);  // one of Python's takes the GIL to go: not before the lock is given back
        }
        failed_ = true;
    }

    Gather gather_;
    const std::size_t records_;
    std::vector<Hand> hands_;
    PyInterpreterState* interpreter_ = nullptr;
    std::mutex turn_;
    std::size_t next_ = 0;  // record; whose turn it is has it
    std::mutex failing_;
    std::atomic<bool> failed_{false};
    std::size_t failed_at_ = std::numeric_limits<std::size_t>::max();
    std::exception_ptr error_;
};

}  // namespace m4i::python
