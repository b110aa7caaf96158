#include <cofutures/map.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE map_unordered
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"
#include "support/object_observer.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::Naturals;
using cofutures::test::numbers_to;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// Two items, of which the second is there when a gate is open.
class LateSecond {
public:
    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;

        explicit iterator(const LateSecond& range) : range_(&range) {}

        int operator*() const { return range_->items_[place_]; }
        iterator& operator++() {
            if (++place_ == 1) {
                range_->gate_.wait();
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return place_ == range_->items_.size(); }

    private:
        const LateSecond* range_;
        std::size_t place_ = 0;
    };

    LateSecond(const std::vector<int>& items, const Gate& gate) : items_(items), gate_(gate) {}

    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    const std::vector<int>& items_;
    const Gate& gate_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(map_unordered)

BOOST_AUTO_TEST_CASE(every_item_comes_once) {
    ThreadPoolExecutor pool(3);
    for (const std::optional<int> buffersize : {std::optional<int>(), std::optional(7)}) {
        std::vector<int> results;
        for (const int value : pool.map_unordered(
                 {.buffersize = buffersize}, [](int n) { return n; }, numbers_to(10'000)
             )) {
            results.push_back(value);
        }
        std::ranges::sort(results);
        BOOST_TEST(results == numbers_to(10'000), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(results_come_in_completion_order) {
    ThreadPoolExecutor pool(3);
    Gate done[3];
    auto range = pool.map_unordered(
        [&done](int value) {
            if (value != 2) {
                done[value + 1].wait();  // 2, then 1, then 0
            }
            return value;
        },
        numbers_to(3)
    );
    for (int expected : {2, 1, 0}) {
        BOOST_TEST(*range.next() == expected);
        done[expected].open();
    }
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(an_item_that_comes_while_another_one_runs_is_not_kept_waiting) {
    ThreadPoolExecutor pool(2);
    Gate begun[2];
    const std::vector<int> items{0, 1};
    const LateSecond inputs(items, begun[0]);
    auto range = pool.map_unordered(
        [&](int value) {
            begun[value].open();
            begun[1].wait();
            return value;
        },
        inputs
    );
    BOOST_TEST(*range.next() + *range.next() == 1);
}

BOOST_AUTO_TEST_CASE(order_of_completion_is_kept_for_a_late_reader) {
    ThreadPoolExecutor pool(2);
    Gate release;
    std::atomic<int> ended{0};
    auto range = pool.map_unordered(
        {.chunksize = 1},
        [&](int value) {
            if (value == 0) {
                release.wait();
            } else if (++ended == 9) {
                release.open();
            }
            return value;
        },
        numbers_to(10)
    );
    pool.shutdown();
    std::vector<int> order;
    for (const int value : range) {
        order.push_back(value);
    }
    // The last of the others may be overtaken by the one that it sets free.
    BOOST_TEST(std::ranges::is_sorted(order.begin(), order.begin() + 8));
    BOOST_TEST(order.size() == 10U);
}

BOOST_AUTO_TEST_CASE(exceptions_come_among_the_results) {
    ThreadPoolExecutor pool(2);
    auto range = pool.map_unordered(
        [](int value) {
            if (value % 2 == 0) {
                throw std::domain_error("even");
            }
        },
        numbers_to(100)
    );
    int returned = 0;
    int raised = 0;
    for (;;) {
        try {
            if (!range.next()) {
                break;
            }
            ++returned;
        } catch (const std::domain_error&) {
            ++raised;
        }
    }
    BOOST_TEST(returned == 50);
    BOOST_TEST(raised == 50);
}

BOOST_AUTO_TEST_CASE(timeout_ends_the_range) {
    ThreadPoolExecutor pool(1);
    Gate release;
    auto range = pool.map_unordered(
        {.timeout = 500ms},
        [&release](int value) {
            if (value == 1) {
                release.wait();
            }
            return value;
        },
        numbers_to(3)
    );
    BOOST_TEST(*range.next() == 0);
    BOOST_CHECK_THROW(range.next(), TimeoutError);
    BOOST_TEST(!range.next().has_value());
    release.open();
}

BOOST_AUTO_TEST_CASE(endless_input_with_a_buffer) {
    ThreadPoolExecutor pool(2);
    auto range = pool.map_unordered(
        {.buffersize = 4}, [](int value) { return value; }, Naturals()
    );
    std::vector<int> seen(2000);
    for (int i = 0; i < 1000; ++i) {
        const int value = *range.next();
        BOOST_TEST_REQUIRE(value < i + 5);
        BOOST_TEST_REQUIRE(++seen[static_cast<std::size_t>(value)] == 1);
    }
}

BOOST_AUTO_TEST_CASE(close_destroys_what_was_not_read) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(2);
    auto range =
        pool.map_unordered([&counts](int i) { return Observed(counts, i); }, numbers_to(50));
    range.next();
    range.close();
    pool.shutdown();
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_cancels_items_not_begun) {
    ThreadPoolExecutor pool(1);
    Gate begun;
    Gate release;
    auto range = pool.map_unordered(
        [&](int value) {
            begun.open();
            release.wait();
            return value;
        },
        numbers_to(5)
    );
    begun.wait();
    pool.shutdown(false, true);
    for (int i = 1; i < 5; ++i) {
        BOOST_CHECK_THROW(range.next(), CancelledError);  // done before what still runs
    }
    release.open();
    BOOST_TEST(*range.next() == 0);
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
