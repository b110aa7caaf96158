#include <cofutures/map.hpp>

#define BOOST_TEST_MODULE map_of_quick_items
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/leak_check.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

// Items that take so little that several may be ended together: nobody can tell, and none is lost.
// Compiled with all optimisations, whatever else is compiled how.

using namespace cofutures;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int items = 100'000;

std::vector<int> numbers() {
    std::vector<int> all(items);
    std::iota(all.begin(), all.end(), 0);
    return all;
}

/// What items that wait do so for: how many results have been read. Bounded by a count of looks, as
/// a clock is a call that the compiler does not see through.
class ReadSoFar {
public:
    void add() {
        const std::lock_guard lock(mutex_);
        ++count_;
        ++atomic_count_;
    }

    bool wait_relaxed(int wanted) const {
        return look([&] { return atomic_count_.load(std::memory_order_relaxed) >= wanted; });
    }
    bool wait_acquiring(int wanted) const {
        return look([&] { return atomic_count_.load(std::memory_order_acquire) >= wanted; });
    }
    bool wait_locking(int wanted) const {
        return look([&] {
            const std::lock_guard lock(mutex_);
            return count_ >= wanted;
        });
    }
    [[gnu::noinline]] bool wait_out_of_line(int wanted) const { return wait_relaxed(wanted); }

private:
    template <class Ready>
    static bool look(Ready ready) {
        for (long looks = 0; looks < 200'000'000; ++looks) {
            if (ready()) {
                return true;
            }
        }
        return false;
    }

    mutable std::mutex mutex_;
    int count_ = 0;
    std::atomic<int> atomic_count_{0};
};

/// Of quick items each thousandth waits until what came before it has been read.
template <class Wait>
void check_waits_for_results(Wait wait) {
    ThreadPoolExecutor pool(1);
    ReadSoFar read;
    int expected = 0;
    for (const int result : pool.map(
             [&](int item) { return item % 1000 == 999 && !wait(read, item) ? -1 : item; },
             numbers()
         )) {
        BOOST_TEST_REQUIRE(result == expected++);
        read.add();
    }
    BOOST_TEST(expected == items);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_map_of_quick_items)

BOOST_AUTO_TEST_CASE(an_item_can_wait_until_what_came_before_is_read) {
    check_waits_for_results([](const ReadSoFar& read, int n) { return read.wait_relaxed(n); });
    check_waits_for_results([](const ReadSoFar& read, int n) { return read.wait_acquiring(n); });
    check_waits_for_results([](const ReadSoFar& read, int n) { return read.wait_locking(n); });
    check_waits_for_results([](const ReadSoFar& read, int n) { return read.wait_out_of_line(n); });
}

BOOST_AUTO_TEST_CASE(an_item_can_wait_until_what_came_before_is_read_and_throw) {
    ThreadPoolExecutor pool(1);
    ReadSoFar read;
    auto results = pool.map(
        [&](int item) {
            if (item % 1000 == 999) {
                throw read.wait_locking(item);
            }
            return item;
        },
        numbers()
    );
    for (int item = 0; item < items; ++item) {
        try {
            BOOST_TEST_REQUIRE(*results.next() == item);
        } catch (bool was_read) {
            BOOST_TEST_REQUIRE(was_read);
            BOOST_TEST_REQUIRE(item % 1000 == 999);
        }
        read.add();
    }
}

BOOST_AUTO_TEST_CASE(each_result_is_that_of_its_item) {
    ThreadPoolExecutor pool(2);
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(1000)}) {
        int expected = 0;
        for (const int result : pool.map(
                 {.chunksize = chunksize}, [](int item) { return 3 * item; }, numbers()
             )) {
            BOOST_TEST_REQUIRE(result == 3 * expected++);
        }
        BOOST_TEST(expected == items);
    }
}

BOOST_AUTO_TEST_CASE(what_an_item_throws_is_at_its_place) {
    ThreadPoolExecutor pool(2);
    auto results = pool.map(
        [](int item) {
            if (item % 100 == 42) {
                throw std::out_of_range("an item");
            }
            return item;
        },
        numbers()
    );
    for (int item = 0; item < items; ++item) {
        if (item % 100 == 42) {
            BOOST_CHECK_THROW(results.next(), std::out_of_range);
        } else {
            BOOST_TEST_REQUIRE(*results.next() == item);
        }
    }
    BOOST_TEST(!results.next().has_value());
}

BOOST_AUTO_TEST_CASE(it_can_be_dropped_at_any_time) {
    ThreadPoolExecutor pool(2);
    const std::vector<int> all = numbers();
    for (int read = 0; read < 500; ++read) {
        auto results = pool.map(
            [](int item) {
                if (item % 100 == 42) {
                    throw std::out_of_range("an item");
                }
                return item;
            },
            std::vector(all.begin(), all.begin() + 5'000)
        );
        for (int item = 0; item < read % 42; ++item) {
            BOOST_TEST_REQUIRE(*results.next() == item);
        }
    }
}

BOOST_AUTO_TEST_CASE(it_can_have_a_timeout) {
    using namespace std::chrono_literals;
    ThreadPoolExecutor pool(2);
    int expected = 0;
    for (const int result : pool.map(
             {.timeout = 1h}, [](int item) { return -item; }, numbers()
         )) {
        BOOST_TEST_REQUIRE(result == -expected++);
    }
    BOOST_TEST(expected == items);
}

BOOST_AUTO_TEST_SUITE_END()
