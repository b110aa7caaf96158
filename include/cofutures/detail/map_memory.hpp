#pragma once

#include <cofutures/detail/huge_pages.hpp>

#include <cstddef>
#include <memory>

namespace cofutures::detail {

/// Memory for the items of a map. Whoever has it makes them there, and destroys them.
template <class T>
class MapMemory {
public:
    /// @throws std::bad_alloc
    explicit MapMemory(std::size_t size) : items_(std::allocator<T>().allocate(size), {size}) {
        prefer_huge_pages(items_.get(), size * sizeof(T));
    }

    [[nodiscard]] T* get() const noexcept { return items_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return items_.get_deleter().size; }

private:
    struct Deallocate {
        std::size_t size;
        void operator()(T* items) const noexcept { std::allocator<T>().deallocate(items, size); }
    };

    std::unique_ptr<T, Deallocate> items_;
};

}  // namespace cofutures::detail
