// Memory that is handed to NumPy: not filled, so each page is touched first by the thread that writes its numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace m4i {

// `size` numbers, which whoever has asked for them writes.
template <typename T>
class Column {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    explicit Column(std::size_t size = 0) { resize(size); }
    ~Column() { std::free(values_); }
    Column(Column&& other) noexcept : values_(other.release()) {}
    Column& operator=(Column&& other) noexcept {
        std::swap(values_, other.values_);
        return *this;
    }

    // Keeps what is there, as far as there is room for it. By the C library, which moves large memory without copying.
    void resize(std::size_t size) {
        void* const moved = std::realloc(values_, std::max<std::size_t>(size, 1) * sizeof(T));
        if (moved == nullptr) throw std::bad_alloc();
        values_ = static_cast<T*>(moved);
    }

    T* data() { return values_; }

    // To be given to std::free.
    T* release() { return std::exchange(values_, nullptr); }

private:
    T* values_ = nullptr;
};

}  // namespace m4i
