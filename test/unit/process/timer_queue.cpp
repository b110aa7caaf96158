#include "process/timer_queue.hpp"

#include "process/run_times.hpp"

#define BOOST_TEST_MODULE timer_queue
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

using namespace cofutures::process;
using namespace std::chrono_literals;

namespace {

TimerQueue::Time at(std::chrono::milliseconds time) {
    return TimerQueue::Time(time);
}

using Timers = std::vector<std::uint64_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(timer_queue)

BOOST_AUTO_TEST_CASE(timers_come_in_the_order_of_their_time) {
    TimerQueue queue;
    BOOST_TEST(!queue.next());
    queue.add(1, at(30ms));
    queue.add(2, at(10ms));
    queue.add(3, at(20ms));
    BOOST_TEST((queue.next() == at(10ms)));
    BOOST_TEST((queue.pop(at(9ms)) == Timers{}));
    BOOST_TEST((queue.pop(at(20ms)) == Timers{2, 3}));
    BOOST_TEST((queue.next() == at(30ms)));
}

BOOST_AUTO_TEST_CASE(a_timer_that_was_removed_does_not_come) {
    TimerQueue queue;
    queue.add(1, at(10ms));
    queue.add(2, at(10ms));
    queue.remove(1);
    queue.remove(7);
    BOOST_TEST((queue.pop(at(1h)) == Timers{2}));
    queue.remove(2);
    BOOST_TEST(!queue.next());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(run_times)

BOOST_AUTO_TEST_CASE(a_kind_is_short_when_it_has_proved_to_be) {
    RunTimes times;
    BOOST_TEST(times.window(1) == 1U);
    for (unsigned i = 1; i < RunTimes::proof; ++i) {
        times.took(1, 10us);
        BOOST_TEST(times.window(1) == 1U);
    }
    times.took(1, 10us);
    BOOST_TEST(times.window(1) == 101U);
    BOOST_TEST(times.window(2) == 1U);
}

BOOST_AUTO_TEST_CASE(one_long_task_is_enough_to_doubt_it) {
    RunTimes times;
    for (unsigned i = 0; i < 100; ++i) {
        times.took(1, 10us);
    }
    times.took(1, 1s);
    BOOST_TEST(times.window(1) == 1U);
    for (unsigned i = 0; i < 200; ++i) {
        times.took(1, 10us);
    }
    BOOST_TEST(times.window(1) > 1U);
}

BOOST_AUTO_TEST_SUITE_END()
