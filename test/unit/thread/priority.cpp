#include <cofutures/task_options.hpp>

#define BOOST_TEST_MODULE thread_pool_priority
#include <boost/test/unit_test.hpp>

#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <limits>
#include <vector>

using namespace cofutures;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int lowest = std::numeric_limits<int>::min();
constexpr int highest = std::numeric_limits<int>::max();

// The order in which one thread begins calls of these priorities.
std::vector<int> order_of(const std::vector<int>& priorities) {
    std::vector<int> order;
    ThreadPoolExecutor pool(1);
    Gate may_begin;
    pool.submit([&] { may_begin.wait(); });
    for (const int priority : priorities) {
        pool.submit({.priority = priority}, [&order, priority] { order.push_back(priority); });
    }
    may_begin.open();
    pool.shutdown();
    return order;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool_priority)

BOOST_AUTO_TEST_CASE(higher_ones_begin_first) {
    const std::vector<int> expected{highest, 5, 1, 0, 0, -1, lowest};
    BOOST_TEST(order_of({0, lowest, 5, -1, highest, 0, 1}) == expected);
}

BOOST_AUTO_TEST_CASE(within_one_the_order_is_that_of_submitting) {
    std::vector<int> order;
    ThreadPoolExecutor pool(1);
    Gate may_begin;
    pool.submit([&] { may_begin.wait(); });
    for (int i = 0; i < 30; ++i) {
        pool.submit({.priority = i % 3 - 1}, [&order, i] { order.push_back(i); });
    }
    may_begin.open();
    pool.shutdown();
    std::vector<int> expected;
    for (const int first : {2, 1, 0}) {
        for (int i = first; i < 30; i += 3) {
            expected.push_back(i);
        }
    }
    BOOST_TEST(order == expected);
}

BOOST_AUTO_TEST_CASE(a_call_without_options_has_priority_0) {
    std::vector<int> order;
    ThreadPoolExecutor pool(1);
    Gate may_begin;
    pool.submit([&] { may_begin.wait(); });
    pool.submit({.priority = -1}, [&] { order.push_back(-1); });
    pool.submit([&] { order.push_back(0); });
    pool.submit({.priority = 1}, [&] { order.push_back(1); });
    may_begin.open();
    pool.shutdown();
    BOOST_TEST(order == (std::vector<int>{1, 0, -1}));
}

BOOST_AUTO_TEST_CASE(one_that_is_cancelled_or_ran_in_place_leaves_the_others_in_order) {
    std::vector<int> order;
    ThreadPoolExecutor pool(1);
    pool.submit([&] {
            const auto in_place = pool.submit({.priority = -5}, [&] { order.push_back(-5); });
            auto cancelled = pool.submit({.priority = 9}, [&] { order.push_back(9); });
            pool.submit({.priority = 3}, [&] { order.push_back(3); });
            cancelled.cancel();
            in_place.result();
        }
    ).result();
    pool.shutdown();
    BOOST_TEST(order == (std::vector<int>{-5, 3}));
}

BOOST_AUTO_TEST_SUITE_END()
