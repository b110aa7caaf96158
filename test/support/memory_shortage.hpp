#pragma once

#include "support/sanitizer.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>

/// @file
/// Memory that runs out on one thread, at one allocation or from one on. Replaces the program's
/// `operator new`, so a program has this header in one of its sources only.

namespace cofutures::test {

struct Shortage {
    long allocations_left = -1;  ///< negative: none in sight
    bool lasts = false;
    bool came = false;
};

/// The calling thread's.
inline thread_local constinit Shortage shortage;

inline bool memory_is_short() {
    if (shortage.allocations_left < 0) {
        return false;
    }
    if (shortage.allocations_left > 0) {
        --shortage.allocations_left;
        return false;
    }
    if (!shortage.lasts) {
        shortage.allocations_left = -1;
    }
    shortage.came = true;
    return true;
}

inline void* allocate_unless_short(std::size_t size, std::size_t alignment) {
    if (memory_is_short()) {
        throw std::bad_alloc();
    }
    const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

/// Has `use` run out of memory at its first allocation, its second, and so on, until it needs no
/// more. A sanitizer, under which all takes long, sees each third.
///
/// @param use  Is given what to put into `shortage`; says whether it came.
inline void at_every_allocation(const std::function<bool(long allocations, bool lasts)>& use) {
    constexpr long step = sanitized ? 3 : 1;
    for (const bool lasts : {false, true}) {
        long count = 0;
        while (use(count, lasts)) {
            count += step;
            BOOST_REQUIRE(count < 1000);
        }
        BOOST_TEST(count > 0);
    }
}

}  // namespace cofutures::test

void* operator new(std::size_t size) {
    return cofutures::test::allocate_unless_short(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return cofutures::test::allocate_unless_short(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
