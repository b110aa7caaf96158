#include "thread/task_queue.hpp"

#define BOOST_TEST_MODULE task_queue
#include <boost/test/unit_test.hpp>

#include <cofutures/detail/task.hpp>

#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <limits>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;
using cofutures::thread::TaskQueue;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// A task that adds its number to a list when it runs.
detail::StatePtr numbered(int number, std::vector<int>& ran) {
    return detail::make_task([number, &ran] { ran.push_back(number); });
}

std::vector<int> run_all(TaskQueue& queue, std::vector<int>& ran) {
    while (const detail::StatePtr task = queue.pop()) {
        task->run();
    }
    return std::exchange(ran, {});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(task_queue)

BOOST_AUTO_TEST_CASE(is_empty_when_made) {
    TaskQueue queue;
    BOOST_TEST(queue.empty());
    BOOST_TEST(queue.size() == 0u);
    BOOST_TEST(queue.pop() == nullptr);
}

BOOST_AUTO_TEST_CASE(gives_the_oldest_first) {
    std::vector<int> ran;
    TaskQueue queue;
    for (int i = 0; i < 4; ++i) {
        queue.push(numbered(i, ran));
    }
    BOOST_TEST(queue.size() == 4u);
    BOOST_TEST(
        run_all(queue, ran) == (std::vector<int>{0, 1, 2, 3}), boost::test_tools::per_element()
    );
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(can_be_filled_again_after_it_was_emptied) {
    std::vector<int> ran;
    TaskQueue queue;
    for (int round = 0; round < 3; ++round) {
        queue.push(numbered(round, ran));
        queue.push(numbered(-round, ran));
        queue.pop()->run();
        queue.push(numbered(7, ran));
        BOOST_TEST(queue.size() == 2u);
        BOOST_TEST(
            run_all(queue, ran) == (std::vector<int>{round, -round, 7}),
            boost::test_tools::per_element()
        );
        BOOST_TEST(queue.pop() == nullptr);
    }
}

BOOST_AUTO_TEST_CASE(moving_leaves_an_empty_queue) {
    std::vector<int> ran;
    TaskQueue source;
    source.push(numbered(1, ran));
    source.push(numbered(2, ran));
    TaskQueue target(std::move(source));
    BOOST_TEST(source.empty());  // NOLINT(bugprone-use-after-move): what is left is promised
    BOOST_TEST(source.size() == 0u);
    BOOST_TEST(target.size() == 2u);
    source.push(numbered(3, ran));
    BOOST_TEST(run_all(source, ran) == std::vector<int>{3}, boost::test_tools::per_element());
    BOOST_TEST(run_all(target, ran) == (std::vector<int>{1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(swapping_exchanges_all) {
    std::vector<int> ran;
    TaskQueue left;
    TaskQueue right;
    left.push(numbered(1, ran));
    left.push(numbered(2, ran));
    std::swap(left, right);
    BOOST_TEST(left.empty());
    BOOST_TEST(right.size() == 2u);
    std::swap(left, right);
    BOOST_TEST(run_all(left, ran) == (std::vector<int>{1, 2}), boost::test_tools::per_element());
    BOOST_TEST(right.empty());
}

BOOST_AUTO_TEST_CASE(releases_what_is_left_in_it) {
    ObjectCounts counts;
    {
        TaskQueue queue;
        for (int i = 0; i < 3; ++i) {
            queue.push(detail::make_task([](const Observed& /*unused*/) {}, Observed(counts)));
        }
        BOOST_TEST(counts.live() == 3);
        queue.pop();
        BOOST_TEST(counts.live() == 2);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(a_long_queue_is_released_without_recursion) {
    std::vector<int> ran;
    TaskQueue queue;
    for (int i = 0; i < 200'000; ++i) {
        queue.push(numbered(i, ran));
    }
    queue = TaskQueue();
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(gives_higher_priorities_first_and_the_oldest_within_one) {
    std::vector<int> ran;
    TaskQueue queue;
    constexpr int lowest = std::numeric_limits<int>::min();
    constexpr int highest = std::numeric_limits<int>::max();
    const std::vector<std::pair<int, int>> pushed{
        {0, 4}, {lowest, 7}, {highest, 0}, {3, 1}, {-1, 6}, {3, 2}, {1, 3}, {0, 5}, {lowest, 8}};
    for (const auto& [priority, place] : pushed) {
        queue.push(numbered(place, ran), priority);
    }
    BOOST_TEST(queue.size() == 9u);
    BOOST_TEST(
        run_all(queue, ran) == (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8}),
        boost::test_tools::per_element()
    );
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(room_for_a_priority_that_is_not_used_does_no_harm) {
    std::vector<int> ran;
    TaskQueue queue;
    queue.reserve(5);
    queue.reserve(-5);
    BOOST_TEST(queue.empty());
    BOOST_TEST(queue.pop() == nullptr);
    queue.push(numbered(1, ran));
    queue.push(numbered(2, ran), -9);
    BOOST_TEST(run_all(queue, ran) == (std::vector<int>{1, 2}), boost::test_tools::per_element());
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(releases_tasks_of_all_priorities) {
    ObjectCounts counts;
    {
        TaskQueue queue;
        for (const int priority : {-1, 0, 1}) {
            queue.push(detail::make_task([held = Observed(counts)] {}), priority);
        }
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
