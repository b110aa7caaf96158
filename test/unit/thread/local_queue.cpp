#include "thread/local_queue.hpp"

#define BOOST_TEST_MODULE local_queue
#include <boost/test/unit_test.hpp>

#include <cofutures/blocking_region.hpp>
#include <cofutures/error.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/detail/task.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::thread::LocalQueue;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

detail::StatePtr nothing() {
    return detail::make_task([] {});
}

/// What ran, in its order; on one thread at a time.
class Record {
public:
    auto operator()(std::string what) {
        return [this, what = std::move(what)] {
            ran_.push_back(what);
        };
    }
    [[nodiscard]] const std::vector<std::string>& ran() const { return ran_; }

private:
    std::vector<std::string> ran_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(local_queue)

BOOST_AUTO_TEST_CASE(gives_others_the_oldest_first) {
    LocalQueue queue;
    const std::vector<detail::StatePtr> tasks{nothing(), nothing(), nothing()};
    for (int round = 0; round < 100; ++round) {  // past its end, over its beginning
        for (const auto& task : tasks) {
            queue.push_back(task);
        }
        for (const auto& task : tasks) {
            BOOST_TEST(queue.pop_front() == task);
        }
        BOOST_TEST(queue.empty());
        BOOST_TEST(queue.pop_front() == nullptr);
    }
    BOOST_TEST(queue.added() == 300u);
}

BOOST_AUTO_TEST_CASE(takes_no_more_than_it_has_room_for) {
    LocalQueue queue;
    for (std::size_t i = 0; i < LocalQueue::capacity; ++i) {
        BOOST_TEST(!queue.full());
        queue.push_back(nothing());
    }
    BOOST_TEST(queue.full());
    queue.pop_front();
    BOOST_TEST(!queue.full());
}

BOOST_AUTO_TEST_CASE(gives_back_the_newest_if_it_is_wanted_or_has_begun) {
    LocalQueue queue;
    const auto first = nothing();
    const auto second = nothing();
    const auto third = nothing();
    for (const auto& task : {first, second, third}) {
        queue.push_back(task);
    }
    BOOST_TEST(queue.pop_back(*second) == nullptr);
    BOOST_TEST(queue.pop_back(*third) == third);
    BOOST_TEST(queue.pop_back(*first) == nullptr);
    second->run();
    BOOST_TEST(queue.pop_back(*first) == second);
    BOOST_TEST(queue.pop_back(*first) == first);
    BOOST_TEST(queue.pop_back(*first) == nullptr);
}

BOOST_AUTO_TEST_CASE(does_not_let_go_of_one_that_is_being_cancelled) {
    LocalQueue queue;
    const auto cancelled = nothing();
    queue.push_back(cancelled);
    BOOST_TEST(cancelled->cancel());
    const auto other = nothing();
    BOOST_TEST(queue.pop_back(*other) == nullptr);
    BOOST_TEST(queue.pop_front() == cancelled);
}

BOOST_AUTO_TEST_CASE(destroying_it_lets_go_of_its_tasks) {
    LocalQueue queue;
    queue.push_back(nothing());
    queue.push_back(nothing());
    queue.pop_front();
}

// --- in a pool -----------------------------------------------------------------------------------
// All threads of these pools are at work when a task submits another.

BOOST_AUTO_TEST_CASE(tasks_run_in_the_order_submitted_whoever_submits_them) {
    ThreadPoolExecutor pool(1);
    Record record;
    Gate submitted;
    Gate go_on;
    const auto submitter = pool.submit([&] {
        pool.submit(record("first, by a task"));
        pool.submit(record("second, by a task"));
        submitted.open();
        go_on.wait();
        pool.submit(record("fourth, by a task"));
    });
    submitted.wait();
    pool.submit(record("third, by another thread"));
    go_on.open();
    submitter.wait();
    pool.shutdown();
    BOOST_TEST(
        record.ran() == (std::vector<std::string>{
                            "first, by a task",
                            "second, by a task",
                            "third, by another thread",
                            "fourth, by a task",
                        }),
        boost::test_tools::per_element()
    );
}

BOOST_AUTO_TEST_CASE(priorities_hold) {
    ThreadPoolExecutor pool(1);
    Record record;
    const auto submitter = pool.submit([&] {
        pool.submit(record("second"));
        pool.submit(TaskOptions{.priority = -1}, record("fourth"));
        pool.submit(TaskOptions{.priority = 1}, record("first"));
        pool.submit(record("third"));
    });
    submitter.wait();
    pool.shutdown();
    BOOST_TEST(
        record.ran() == (std::vector<std::string>{"first", "second", "third", "fourth"}),
        boost::test_tools::per_element()
    );
}

BOOST_AUTO_TEST_CASE(a_task_may_submit_as_many_as_it_likes) {
    constexpr int count = 3 * static_cast<int>(LocalQueue::capacity) + 1;
    ThreadPoolExecutor pool(1);
    std::vector<int> ran;
    const auto submitter = pool.submit([&] {
        for (int i = 0; i < count; ++i) {
            pool.submit([&ran, i] { ran.push_back(i); });
        }
    });
    submitter.wait();
    pool.shutdown();
    std::vector<int> all(count);
    std::iota(all.begin(), all.end(), 0);
    BOOST_TEST(ran == all, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_thread_that_becomes_free_runs_what_another_ones_task_submitted) {
    ThreadPoolExecutor pool(2);
    Gate begun;
    Gate submitted;
    Gate ran;
    auto first = pool.submit([&] {
        begun.wait();
        pool.submit([&] { ran.open(); });
        submitted.open();
        ran.wait();
    });
    auto second = pool.submit([&] {
        begun.open();
        submitted.wait();
    });
    first.result();
    second.result();
}

BOOST_AUTO_TEST_CASE(an_extra_thread_runs_what_the_task_submitted_that_blocks) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
    Gate ran;
    pool.submit([&] {
            pool.submit([&] { ran.open(); });
            const blocking_region region;
            ran.wait();
        }
    ).result();
}

BOOST_AUTO_TEST_CASE(they_are_counted) {
    ThreadPoolExecutor pool(1);
    pool.submit([&] {
            pool.submit([] {});
            auto cancelled = pool.submit([] {});
            auto in_place = pool.submit([] {});
            in_place.result();
            cancelled.cancel();
            const ExecutorStats stats = pool.stats();
            BOOST_TEST(stats.submitted == 4u);
            BOOST_TEST(stats.queued == 1u);
            BOOST_TEST(stats.running == 1u);
            BOOST_TEST(stats.completed == 1u);
            BOOST_TEST(stats.cancelled == 1u);
        }
    ).result();
}

BOOST_AUTO_TEST_CASE(shutdown_cancels_them_and_none_is_taken_after_it) {
    ThreadPoolExecutor pool(1);
    std::vector<Future<void>> futures;
    bool refused = false;
    auto outer = pool.submit([&] {
        for (int i = 0; i < 3; ++i) {
            futures.push_back(pool.submit([] {}));
        }
        pool.shutdown(false, true);
        try {
            pool.submit([] {});
        } catch (const ShutdownError&) {
            refused = true;
        }
    });
    outer.result();
    BOOST_TEST(refused);
    for (const auto& future : futures) {
        BOOST_TEST(future.cancelled());
    }
    pool.shutdown();
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.submitted == 4u);
    BOOST_TEST(stats.completed == 1u);
    BOOST_TEST(stats.cancelled == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
