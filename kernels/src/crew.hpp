// Batches on their way: filled by one thread, compared by whoever is free, taken back in order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace m4i {

// `Work` is what one thread needs; `work(batch)` does a batch. Made and used by one thread, the owner.
template <typename Batch, typename Work>
class Crew {
public:
    // `works`: one a thread, the owner's first; a crew of one starts no thread. Where the system gives no more threads,
    // those that there are do the work.
    Crew(std::vector<Work> works, std::size_t slots) : works_(std::move(works)), slots_(slots) {
        threads_.reserve(works_.size());
        try {
            for (std::size_t i = 1; i < works_.size(); ++i) threads_.emplace_back([this, i] { serve(works_[i]); });
        } catch (const std::system_error&) {
        }
    }

    ~Crew() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    bool full() const { return filled_ - collected_ == slots_.size(); }
    bool empty() const { return filled_ == collected_; }

    // The batch to fill next; it is offered to the crew by hand_over(). Not while full().
    Batch& next() { return slots_[filled_ % slots_.size()].batch; }

    void hand_over() {
        {
            const std::lock_guard lock(mutex_);
            slots_[filled_ % slots_.size()].done = false;
            ++filled_;
        }
        changed_.notify_all();
    }

    // Waits for the oldest batch, working meanwhile. Not while empty(). Throws what its work threw.
    Batch& oldest() {
        Slot& slot = slots_[collected_ % slots_.size()];
        std::unique_lock lock(mutex_);
        while (!slot.done) {
            if (claimed_ < filled_) {
                take_one(works_[0], lock);
            } else {
                changed_.wait(lock);
            }
        }
        if (slot.error) std::rethrow_exception(slot.error);
        return slot.batch;
    }

    // The oldest batch is no longer needed.
    void collect() { ++collected_; }

private:
    struct Slot {
        Batch batch;
        bool done = false;
        std::exception_ptr error;
    };

    void take_one(Work& work, std::unique_lock<std::mutex>& lock) {
        Slot& slot = slots_[claimed_++ % slots_.size()];
        lock.unlock();
        std::exception_ptr error;
        try {
            work(slot.batch);
        } catch (...) {
            error = std::current_exception();
        }
        lock.lock();
        slot.error = error;
        slot.done = true;
        changed_.notify_all();
    }

    void serve(Work& work) {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return stopped_ || claimed_ < filled_; });
            if (stopped_) return;
            take_one(work, lock);
        }
    }

    std::vector<Work> works_;
    std::vector<Slot> slots_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // Counted up for ever; a slot is its number modulo the slots.
    std::size_t filled_ = 0, claimed_ = 0, collected_ = 0;
    bool stopped_ = false;
};

}  // namespace m4i
