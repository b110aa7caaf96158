#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE refused_calls
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/failing_calls.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"
#include "support/sanitizer.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <functional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

// The system refuses to start a thread: whichever it is, every future ends.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// What the pool may say, and no more, if there is no thread to be had.
void unless_refused(const std::function<void()>& use) {
    try {
        use();
    } catch (const std::system_error& error) {
        BOOST_TEST((error.code() == std::errc::resource_unavailable_try_again));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(refused_calls)

BOOST_AUTO_TEST_CASE(a_pool_does_with_the_threads_that_it_gets) {
    at_every_call([](long calls, bool lasts) {
        ThreadPoolExecutor pool({.max_workers = 3});
        std::vector<Future<int>> futures;
        begin_to_refuse(calls, lasts);
        for (int i = 0; i < 20; ++i) {
            unless_refused([&] { futures.push_back(pool.submit([i] { return i; })); });
        }
        const bool came = end_to_refuse();
        for (const auto& future : futures) {
            BOOST_TEST(future.wait_for(generous));
        }
        BOOST_TEST(pool.submit([] { return 7; }).result(generous) == 7);
        BOOST_TEST(pool.stats().submitted == futures.size() + 1);
        end_and_balance(pool);
        return came;
    });
}

// A thread that is on its way is one, though it has not come yet.
BOOST_AUTO_TEST_CASE(waiting_for_the_only_thread_that_could_be_started_is_no_deadlock) {
    bool came = false;
    for (int round = 0; round < rounds(500); ++round) {
        ThreadPoolExecutor pool(4);
        begin_to_refuse(1, true);
        const auto first = pool.submit([] { return 1; });
        const auto second = pool.submit([] { return 2; });
        BOOST_REQUIRE(first.result() + second.result() == 3);
        came |= end_to_refuse();
    }
    BOOST_TEST(came);
}

BOOST_AUTO_TEST_CASE(waiting_for_room_that_the_only_thread_will_make_is_no_deadlock) {
    bool came = false;
    for (int round = 0; round < rounds(500); ++round) {
        ThreadPoolExecutor pool({.max_workers = 4, .max_queue = 2});
        begin_to_refuse(1, true);
        for (int i = 0; i < 4; ++i) {
            pool.submit([] {});
        }
        came |= end_to_refuse();
    }
    BOOST_TEST(came);
}

// The thread is wanted when `waits` begins to wait, refused, and then wanted again.
BOOST_AUTO_TEST_CASE(an_extra_thread_is_asked_for_again_before_a_wait) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor two({.max_workers = 1, .max_extra_threads = 1});
    Gate queued;
    Promise<Future<int>> other;
    auto waits = two.submit([&] {
        const Future<int> awaited = other.get_future().result();
        queued.wait();
        begin_to_refuse(0, false);
        const int result = awaited.result();
        BOOST_TEST(end_to_refuse());
        return result;
    });
    auto awaited = one.submit([&] {
        const auto needs_the_extra = two.submit([] { return 3; });
        queued.open();
        return needs_the_extra.result();
    });
    other.set_result(awaited);
    BOOST_TEST(waits.result(generous) == 3);
}

BOOST_AUTO_TEST_CASE(a_limit_of_time_is_kept_or_the_task_not_taken) {
    at_every_call([](long calls, bool lasts) {
        ThreadPoolExecutor pool({.max_workers = 2});
        Future<bool> limited;
        begin_to_refuse(calls, lasts);
        unless_refused([&] {
            limited = pool.submit(
                {.timeout = std::chrono::milliseconds(1)},
                [](const std::stop_token& stop) {
                    while (!stop.stop_requested()) {
                        std::this_thread::yield();
                    }
                    return true;
                }
            );
        });
        const bool came = end_to_refuse();
        if (limited.valid()) {
            BOOST_TEST(limited.wait_for(generous));
        }
        end_and_balance(pool);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(a_map_ends) {
    at_every_call([](long calls, bool lasts) {
        ThreadPoolExecutor pool({.max_workers = 3});
        begin_to_refuse(calls, lasts);
        unless_refused([&] {
            int sum = 0;
            for (const int n : pool.map([](int i) { return i; }, std::vector{1, 2, 3, 4, 5})) {
                sum += n;
            }
            BOOST_TEST(sum == 15);
        });
        const bool came = end_to_refuse();
        end_and_balance(pool);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(handlers_of_the_executor_run_or_are_not_taken) {
    at_every_call([](long calls, bool lasts) {
        ThreadPoolExecutor pool({.max_workers = 2});
        Gate ran;
        bool taken = false;
        begin_to_refuse(calls, lasts);
        unless_refused([&] {
            const auto executor = pool.get_executor();
            boost::asio::post(executor, [&] { ran.open(); });
            taken = true;
        });
        const bool came = end_to_refuse();
        if (taken) {
            ran.wait();
        }
        end_and_balance(pool);
        return came;
    });
}

// The executor has one thread then, which is not to wait for its handlers.
BOOST_AUTO_TEST_CASE(a_wait_for_a_handler_counts_on_no_thread_that_was_refused) {
    ThreadPoolExecutor pool({.max_workers = 2});
    const auto call = pool.submit([&] {
        begin_to_refuse(0, true);
        const auto executor = pool.get_executor();
        const bool came = end_to_refuse();
        BOOST_TEST(came);
        return submit(executor, [] { return 1; }).result();
    });
    BOOST_CHECK_THROW(call.result(generous), DeadlockError);
}

// Each level waits for the next, which goes to a thread with a stack of its own at some depth.
BOOST_AUTO_TEST_CASE(a_deep_recursion_of_waits_ends) {
    static constexpr int levels = sanitized ? 100 : 5'000;
    at_every_call([](long calls, bool lasts) {
        ThreadPoolExecutor pool({.max_workers = 2});
        const std::function<int(int)> descend = [&](int depth) {
            return depth == 0 ? 0 : 1 + pool.submit(descend, depth - 1).result();
        };
        Future<int> top;
        begin_to_refuse(calls, lasts);
        unless_refused([&] { top = pool.submit(descend, levels); });
        if (top.valid()) {
            BOOST_TEST(top.wait_for(generous));
        }
        const bool came = end_to_refuse();
        end_and_balance(pool);
        return came;
    });
}

BOOST_AUTO_TEST_SUITE_END()
