#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_allocations
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"
#include "support/thread_state.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <unistd.h>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

// What the calling thread takes from the heap. Asio takes its memory from std::aligned_alloc.
namespace {
thread_local int allocations = 0;
}  // namespace

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    ++allocations;
    void* memory = nullptr;
    return posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) == 0 ? memory
                                                                                  : nullptr;
}
void* operator new(std::size_t size) {
    ++allocations;
    void* memory = std::malloc(std::max<std::size_t>(size, 1));
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

BOOST_AUTO_TEST_SUITE(thread_pool_allocations)

BOOST_AUTO_TEST_CASE(a_submit_allocates_the_task_and_nothing_else) {
    ThreadPoolExecutor pool(1);
    for (int i = 0; i < 20; ++i) {
        // Its thread is there and has to be woken.
        BOOST_REQUIRE(falls_asleep(pool.submit(gettid).result()));
        allocations = 0;
        const auto future = pool.submit([] {});
        const int allocated = allocations;
        future.result();
        BOOST_TEST(allocated == 1);
    }
    const int inside = pool.submit([&pool] {
                               allocations = 0;
                               pool.submit([] {});
                               return allocations;
                           }
    ).result();
    BOOST_TEST(inside == 1);
}

BOOST_AUTO_TEST_SUITE_END()
