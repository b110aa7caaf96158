#include <cofutures/thread_pool_executor.hpp>

#include <cofutures/as_completed.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE endless_wait
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/refusal.hpp"
#include "support/rounds.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

// Cycles that are not closed by a wait that begins, but by a future that ends, and those through
// room in a bounded queue.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Its one thread has a helper that runs what is queued only while the thread sleeps in a wait: a
// task can so bring something about at the moment when it has begun to wait.
ThreadPoolOptions one_with_helper() {
    return {.max_workers = 1, .max_extra_threads = 1};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_endless_wait)

BOOST_AUTO_TEST_CASE(a_wait_for_an_exception_that_only_the_waiting_task_could_raise_is_found) {
    ThreadPoolExecutor pool(one_with_helper());
    Promise<Future<void>> myself;
    Promise<void> other;
    auto task = pool.submit({.name = "a"}, [&] {
        const std::vector both{myself.get_future().result(), other.get_future()};
        auto end_other = pool.submit([&] { other.set_result(); });
        wait(both, FIRST_EXCEPTION);
    });
    myself.set_result(task);
    BOOST_TEST(refusal_of(task) == "the wait would never end: \"a\", which waits for \"a\"");
}

BOOST_AUTO_TEST_CASE(a_wait_for_an_exception_ends_by_that_of_another) {
    ThreadPoolExecutor pool(one_with_helper());
    Promise<Future<void>> myself;
    Promise<void> other;
    auto task = pool.submit([&] {
        const std::vector both{myself.get_future().result(), other.get_future()};
        auto end_other = pool.submit([&] {
            other.set_exception(std::make_exception_ptr(std::runtime_error("on purpose")));
        });
        BOOST_TEST(wait(both, FIRST_EXCEPTION).done.size() == 1);
    });
    myself.set_result(task);
    task.result(generous);
}

BOOST_AUTO_TEST_CASE(a_wait_for_an_exception_of_one_that_came_to_wait_for_the_waiter_is_found) {
    ThreadPoolExecutor one(one_with_helper());
    ThreadPoolExecutor two(one_with_helper());
    Promise<Future<void>> second;
    Promise<Future<void>> first;
    Promise<void> other;
    Gate first_waits;
    auto a = one.submit({.name = "a"}, [&] {
        const std::vector both{second.get_future().result(), other.get_future()};
        auto say_so = one.submit([&] { first_waits.open(); });
        wait(both, FIRST_EXCEPTION);
    });
    auto b = two.submit({.name = "b"}, [&] {
        const Future<void> waiter = first.get_future().result();
        first_waits.wait();
        auto end_other = two.submit([&] { other.set_result(); });
        waiter.wait();
    });
    first.set_result(a);
    second.set_result(b);
    BOOST_TEST(
        refusal_of(a) == "the wait would never end: \"a\", which waits for \"b\", which waits for "
                         "\"a\""
    );
    b.result(generous);
}

// The one looks for the cycle among some first; the cycle takes them all.
BOOST_AUTO_TEST_CASE(a_wait_for_any_of_many_is_refused_only_if_none_can_end) {
    for (const bool one_can_end : {false, true}) {
        ThreadPoolExecutor pool(1);
        Promise<Future<void>> myself;
        Promise<void> other;
        auto task = pool.submit([&] {
            const Future<void> me = myself.get_future().result();
            std::vector<Future<void>> links;
            for (int i = 0; i < 100; ++i) {
                links.push_back(me.then([] {}));
            }
            if (one_can_end) {
                links.push_back(other.get_future());
            }
            wait(links, FIRST_COMPLETED);
        });
        myself.set_result(task);
        if (one_can_end) {
            other.set_result();
            task.result(generous);
        } else {
            BOOST_CHECK_THROW(task.result(generous), DeadlockError);
        }
    }
}

// What a worker of the one pool could not run in its place, one of the other can.
BOOST_AUTO_TEST_CASE(a_range_that_goes_on_in_another_pool_runs_what_is_queued_there) {
    ThreadPoolExecutor one(one_with_helper());
    ThreadPoolExecutor two(1);
    Gate advanced;
    Promise<int> first;
    std::optional<AsCompleted<Future<int>>> range;
    auto goes_on = two.submit([&] {
        advanced.wait();
        int sum = 0;
        for (auto position = range->begin(); position != range->end(); ++position) {
            sum += (*position).result();
        }
        return sum;
    });
    std::vector<Future<int>> futures{first.get_future()};
    for (int i = 0; i < 3; ++i) {
        futures.push_back(two.submit([] { return 2; }));
    }
    range.emplace(as_completed(futures));
    one.submit([&] {
           auto end_first = one.submit([&] { first.set_result(1); });
           BOOST_TEST((*range->begin()).result() == 1);
       }
    ).result(generous);
    advanced.open();
    BOOST_TEST(goes_on.result(generous) == 6);
}

BOOST_AUTO_TEST_CASE(a_cycle_through_a_full_queue_is_found) {
    for (int round = 0; round < rounds(200); ++round) {
        ThreadPoolExecutor one(1);
        ThreadPoolExecutor full({.max_workers = 1, .max_queue = 1});
        Promise<Future<bool>> submitting;
        std::atomic<bool> ran{false};
        auto waits = full.submit([&] {
            const Future<bool> waited_for = submitting.get_future().result();
            try {
                waited_for.wait();
            } catch (const DeadlockError&) {
                return false;
            }
            return true;
        });
        auto takes_the_room = full.submit([] {});
        auto submits = one.submit({.name = "submits"}, [&] {
            try {
                full.submit([&] { ran = true; });
            } catch (const DeadlockError& error) {
                BOOST_TEST(std::string(error.what()).starts_with("the queue is full, and the wait")
                );
                return false;
            }
            return true;
        });
        submitting.set_result(submits);
        // Whichever of them comes second is refused.
        const bool submitted = submits.result(generous);
        BOOST_REQUIRE(waits.result(generous) == !submitted);
        takes_the_room.result(generous);
        full.shutdown();
        BOOST_REQUIRE(ran == submitted);
        const ExecutorStats stats = full.stats();
        BOOST_REQUIRE(stats.submitted == stats.completed + stats.cancelled);
        BOOST_REQUIRE(stats.cancelled == 0);
    }
}

BOOST_AUTO_TEST_CASE(waiting_for_room_that_a_free_worker_will_make_is_no_cycle) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor full({.max_workers = 2, .max_queue = 1});
    Gate submitted;
    Promise<Future<int>> submitting;
    auto waits = full.submit([&] { return submitting.get_future().result().result(); });
    auto busy = full.submit([&] { submitted.wait(); });
    std::optional<Future<void>> takes_the_room;
    while (!(takes_the_room = full.try_submit([] {}))) {
        // the two have not begun yet
    }
    auto submits = one.submit([&] {
        submitted.open();
        return full.submit([] { return 7; }).result();
    });
    submitting.set_result(submits);
    BOOST_TEST(waits.result(generous) == 7);
    busy.result(generous);
    takes_the_room->result(generous);
}

BOOST_AUTO_TEST_SUITE_END()
