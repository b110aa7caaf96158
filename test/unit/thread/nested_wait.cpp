#include <cofutures/thread_pool_executor.hpp>

#include <cofutures/wait.hpp>
#include <cofutures/when_all.hpp>

#define BOOST_TEST_MODULE nested_wait
#include <boost/test/unit_test.hpp>

#include "core/wait_graph.hpp"

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/refusal.hpp"
#include "support/rounds.hpp"
#include "support/sanitizer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// How many of them a wait refused; the others have to return.
int count_refused(const std::vector<Future<int>>& futures) {
    int refused = 0;
    for (const Future<int>& f : futures) {
        try {
            f.result(generous);
        } catch (const DeadlockError&) {
            ++refused;
        }
    }
    return refused;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_nested_wait)

// Python's documentation: "this will never complete because there is only one worker thread".
BOOST_AUTO_TEST_CASE(a_task_may_wait_for_another_of_a_pool_with_one_thread) {
    ThreadPoolExecutor pool(1);
    const auto wait_on_future = [&pool] {
        Future<int> f = pool.submit([] { return 5 * 5; });
        return f.result();
    };
    BOOST_TEST(pool.submit(wait_on_future).result(generous) == 25);
}

BOOST_AUTO_TEST_CASE(the_awaited_task_runs_in_place_and_no_other_does) {
    ThreadPoolExecutor pool(1);
    std::vector<std::string> order;
    auto outer = pool.submit([&] {
        auto bystander = pool.submit([&] { order.emplace_back("bystander"); });
        auto awaited = pool.submit([&] { order.emplace_back("awaited"); });
        awaited.result();
        order.emplace_back("outer");
        return bystander;
    });
    outer.result(generous).result(generous);
    BOOST_TEST(order == (std::vector<std::string>{"awaited", "outer", "bystander"}));
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_in_place_may_let_go_of_its_own_handle) {
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&] {
        std::optional<Future<int>> inner;
        inner = pool.submit([&] {
            inner.reset();
            return 1;
        });
        const auto next = inner->then([](int value) { return value + 1; });
        return next.result();
    });
    BOOST_TEST(outer.result() == 2);
}

BOOST_AUTO_TEST_CASE(a_recursion_of_waits_ends_on_one_thread) {
    ThreadPoolExecutor pool(1);
    std::function<int(int)> fib = [&](int n) -> int {
        if (n < 2) {
            return n;
        }
        auto left = pool.submit(std::cref(fib), n - 1);
        auto right = pool.submit(std::cref(fib), n - 2);
        return left.result() + right.result();
    };
    BOOST_TEST(pool.submit(std::cref(fib), 12).result(generous) == 144);
}

BOOST_AUTO_TEST_CASE(waits_see_through_continuations_and_gatherings) {
    ThreadPoolExecutor pool(1);
    const auto twice = [](int n) {
        return 2 * n;
    };
    auto outer = pool.submit([&] {
        std::vector<Future<int>> parts;
        for (int i = 0; i < 3; ++i) {
            parts.push_back(pool.submit([i] { return i; }).then(twice));
        }
        return when_all(parts)
            .then([](const std::vector<int>& all) { return all[0] + all[1] + all[2]; })
            .result();
    });
    BOOST_TEST(outer.result(generous) == 6);
}

BOOST_AUTO_TEST_CASE(wait_and_as_completed_run_what_they_wait_for) {
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&] {
        std::vector<Future<int>> parts;
        for (int i = 0; i < 4; ++i) {
            parts.push_back(pool.submit([i] { return i; }));
        }
        auto [done, not_done] = wait(parts, ReturnWhen::FIRST_COMPLETED);
        int sum = 0;
        for (const Future<int>& part : as_completed(parts)) {
            sum += part.result();
        }
        return done.empty() ? -1 : sum;
    });
    BOOST_TEST(outer.result(generous) == 6);
}

// Python's documentation: "b will never complete because it is waiting on a", and the other way
// round.
BOOST_AUTO_TEST_CASE(two_tasks_that_wait_for_each_other_are_found) {
    ThreadPoolExecutor pool(2);
    Promise<Future<int>> promise_a;
    Promise<Future<int>> promise_b;
    auto a = pool.submit([other = promise_b.get_future()] { return other.result().result() + 1; });
    auto b = pool.submit([other = promise_a.get_future()] { return other.result().result() + 1; });
    promise_a.set_result(a);
    promise_b.set_result(b);
    // One of the two waits is refused, and its error ends the other.
    BOOST_CHECK_THROW(a.result(generous), DeadlockError);
    BOOST_CHECK_THROW(b.result(generous), DeadlockError);
}

BOOST_AUTO_TEST_CASE(a_task_that_waits_for_itself_is_found) {
    ThreadPoolExecutor pool(2);
    Promise<Future<void>> promise;
    auto self = pool.submit([me = promise.get_future()] { me.result().result(); });
    promise.set_result(self);
    BOOST_CHECK_THROW(self.result(generous), DeadlockError);
}

BOOST_AUTO_TEST_CASE(a_cycle_over_two_pools_is_found_and_names_its_tasks) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor two(1);
    Promise<Future<int>> promise_a;
    Promise<Future<int>> promise_b;
    auto a = one.submit([other = promise_b.get_future()] { return other.result().result(); });
    auto b = two.submit([other = promise_a.get_future()] {
        return other.result().then([](int n) { return n; }).result();
    });
    promise_a.set_result(a);
    promise_b.set_result(b);
    const std::string refusal = refusal_of(a);
    BOOST_TEST(refusal.find("which waits for") != std::string::npos);
    BOOST_CHECK_THROW(b.result(generous), DeadlockError);
}

BOOST_AUTO_TEST_CASE(a_cycle_through_a_task_that_runs_in_place_names_both) {
    ThreadPoolExecutor pool(1);
    Promise<void> submitted;
    Future<int> a;
    Future<int> b;
    a = pool.submit({.name = "a"}, [&] {
        submitted.get_future().wait();
        return b.result();
    });
    b = pool.submit({.name = "b"}, [&] { return a.result(); });
    submitted.set_result();
    BOOST_TEST(
        refusal_of(a) == "the wait would never end: \"b\", which waits for \"a\", which waits for "
                         "\"b\""
    );
}

BOOST_AUTO_TEST_CASE(a_task_that_no_thread_is_left_for_closes_a_cycle) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor two(1);
    // The thread of `one` waits for `b`; `b` waits for a task that only that thread could run.
    auto a = one.submit([&] {
        auto b = two.submit([&] { return one.submit([] { return 1; }).result(); });
        return b.result();
    });
    BOOST_CHECK_THROW(a.result(generous), DeadlockError);
}

// Each pool's workers wait for what the other pool's would have to run. No wait leads back to the
// one that closes this but through workers that wait for one another.
BOOST_AUTO_TEST_CASE(two_pools_whose_workers_all_wait_for_the_others_queue_are_found) {
    ThreadPoolExecutor one(2);
    ThreadPoolExecutor two(2);
    std::atomic<int> begun{0};
    Gate all_begun;
    Gate queued;
    std::vector<Future<int>> in_one(2);
    std::vector<Future<int>> in_two(2);
    const auto wait_for = [&](const Future<int>& other) {
        if (++begun == 4) {
            all_begun.open();
        }
        queued.wait();
        return other.result();
    };
    std::vector<Future<int>> waiting;
    for (std::size_t i = 0; i < 2; ++i) {
        waiting.push_back(one.submit(wait_for, std::cref(in_two[i])));
        waiting.push_back(two.submit(wait_for, std::cref(in_one[i])));
    }
    all_begun.wait();
    for (std::size_t i = 0; i < 2; ++i) {
        in_one[i] = one.submit([] { return 1; });
        in_two[i] = two.submit([] { return 2; });
    }
    queued.open();
    // The last to wait is refused, and with that a thread is free for what the others wait for.
    BOOST_TEST(count_refused(waiting) == 1);
}

BOOST_AUTO_TEST_CASE(waiting_for_something_that_is_not_a_task_is_no_cycle) {
    ThreadPoolExecutor pool(1);
    Promise<int> promise;
    Gate begun;
    auto waiter = pool.submit([&] {
        begun.open();
        return promise.get_future().result();
    });
    begun.wait();
    promise.set_result(3);
    BOOST_TEST(waiter.result(generous) == 3);
}

BOOST_AUTO_TEST_CASE(a_deep_chain_of_waits_does_not_overflow_the_stack) {
    // Every thread that an address sanitizer sees costs it a stack for what is dead.
    const int depth = address_sanitizer ? 2000 : 20'000;
    ThreadPoolExecutor pool(1);
    std::function<int(int)> down = [&](int n) -> int {
        return n == 0 ? 0 : 1 + pool.submit(std::cref(down), n - 1).result();
    };
    BOOST_TEST(pool.submit(std::cref(down), depth).result(generous) == depth);
}

// A list of futures that grows by one at a time, each time gathered.
Future<int> gathered_again_and_again(Future<int> future, const Future<int>& other, int depth) {
    for (int i = 0; i < depth; ++i) {
        future =
            when_all(std::vector{std::move(future), other}).then([](const std::vector<int>& all) {
                return all[0] + all[1];
            });
    }
    return future;
}

BOOST_AUTO_TEST_CASE(deeply_nested_gatherings_do_not_overflow_the_stack) {
    constexpr int depth = 50'000;
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&] {
        const auto one = pool.submit([] { return 1; });
        return gathered_again_and_again(pool.submit([] { return 0; }), one, depth).result();
    });
    BOOST_TEST(outer.result(generous) == depth);
}

// Nobody would look again when the other one has returned.
BOOST_AUTO_TEST_CASE(a_gathering_with_the_task_that_waits_for_it_is_found) {
    ThreadPoolExecutor pool(2);
    ThreadPoolExecutor other(1);
    Gate refused;
    Promise<Future<int>> promise;
    auto slow = other.submit([&] {
        refused.wait();
        return 1;
    });
    auto self = pool.submit([&, me = promise.get_future()] {
        return when_all(std::vector{slow, me.result()}).result().front();
    });
    promise.set_result(self);
    BOOST_CHECK_THROW(self.result(generous), DeadlockError);
    refused.open();
}

BOOST_AUTO_TEST_CASE(a_cycle_through_deeply_nested_gatherings_is_found) {
    ThreadPoolExecutor pool(2);
    Promise<Future<int>> promise;
    auto self = pool.submit([me = promise.get_future()] {
        return gathered_again_and_again(me.result(), me.result(), 50'000).result();
    });
    promise.set_result(self);
    BOOST_CHECK_THROW(self.result(generous), DeadlockError);
}

// Tasks that wait for each other, one on top of the other, each with much on the stack.
int wait_down(ThreadPoolExecutor& pool, int depth) {
    volatile char frame[2048] = {};
    const int below = depth == 0 ? 0 : pool.submit(wait_down, std::ref(pool), depth - 1).result();
    return below + 1 + frame[0];
}

// A task that runs on a stack of its own is on its way there for a while, longest in the pool's
// initializer. Nobody who waits meanwhile may take that for a cycle.
BOOST_AUTO_TEST_CASE(a_task_on_its_way_to_a_fresh_stack_is_no_cycle) {
    std::atomic<int> initialized{0};
    Gate on_the_way;
    Gate may_go_on;
    ThreadPoolExecutor pool({
        .max_workers = 1,
        .initializer =
            [&] {
                if (++initialized == 2) {
                    on_the_way.open();
                    may_go_on.wait();
                }
            },
    });
    auto top = pool.submit(wait_down, std::ref(pool), 1000);
    on_the_way.wait();
    BOOST_CHECK_NO_THROW(detail::refuse_endless_wait(detail::FutureAccess::state(top)));
    may_go_on.open();
    BOOST_TEST(top.result(generous) == 1001);
}

BOOST_AUTO_TEST_CASE(deep_chains_of_waits_on_several_threads_are_no_cycles) {
    for (long round = 0; round < rounds(10); ++round) {
        ThreadPoolExecutor pool(4);
        BOOST_REQUIRE(pool.submit(wait_down, std::ref(pool), 2000).result() == 2001);
    }
}

// The function of a continuation runs on the thread that ended what it continues.
BOOST_AUTO_TEST_CASE(a_continuation_that_waits_for_who_waits_for_it_is_found) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor two(1);
    Gate submitted;
    Promise<Future<int>> promise;
    auto continued = two.submit([&] { submitted.wait(); }
    ).then([me = promise.get_future()] { return me.result().result(); });
    auto a = one.submit([&] { return continued.result(); });
    promise.set_result(a);
    submitted.open();
    BOOST_CHECK_THROW(a.result(generous), DeadlockError);
}

BOOST_AUTO_TEST_CASE(all_links_of_a_chain_are_looked_at_once) {
    constexpr int links = 50'000;
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&] {
        Future<int> last = pool.submit([] { return 0; });
        std::vector<Future<int>> all;
        for (int i = 0; i < links; ++i) {
            last = last.then([](int n) { return n + 1; });
            all.push_back(last);
        }
        return when_all(all).result().back();
    });
    BOOST_TEST(outer.result(generous) == links);
}

BOOST_AUTO_TEST_CASE(a_cycle_through_all_links_of_a_chain_is_found) {
    ThreadPoolExecutor pool(2);
    Promise<Future<int>> promise;
    auto self = pool.submit([me = promise.get_future()] {
        Future<int> last = me.result();
        std::vector<Future<int>> all;
        for (int i = 0; i < 50'000; ++i) {
            last = last.then([](int n) { return n + 1; });
            all.push_back(last);
        }
        return when_all(all).result().back();
    });
    promise.set_result(self);
    BOOST_CHECK_THROW(self.result(generous), DeadlockError);
}

// Who looked at each part as often as there are ways to it would never come to an end.
BOOST_AUTO_TEST_CASE(gatherings_that_share_their_parts_are_looked_at_once) {
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&] {
        Future<int> future = pool.submit([] { return 1; });
        for (int i = 0; i < 62; ++i) {
            future = gathered_again_and_again(future, future, 1).then([](int n) { return n / 2; });
        }
        return future.result();
    });
    BOOST_TEST(outer.result(generous) == 1);
}

// The reader of a map waits for the worker that runs the item, as it waits for a task.
BOOST_AUTO_TEST_CASE(an_item_of_a_map_that_waits_for_its_reader_is_found) {
    for (const bool ordered : {true, false}) {
        ThreadPoolExecutor pool(2);
        Gate begun;
        Promise<Future<int>> promise;
        const auto wait_for_reader = [&, me = promise.get_future()](int) {
            begun.open();
            return me.result().result();
        };
        auto reader = pool.submit({.name = "reader"}, [&] {
            const std::vector<int> items{0};
            auto results = ordered ? pool.map(wait_for_reader, items)
                                   : pool.map_unordered(wait_for_reader, items);
            begun.wait();
            return *results.next();
        });
        promise.set_result(reader);
        const std::string refusal = refusal_of(reader);
        BOOST_TEST(refusal.find("\"reader\"") != std::string::npos);
        BOOST_TEST(refusal.find("\"map\"") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(an_item_behind_the_one_that_is_read_may_wait_for_the_reader) {
    for (long round = 0; round < rounds(400); ++round) {
        ThreadPoolExecutor pool(2);
        Promise<Future<int>> promise;
        const auto second_waits = [me = promise.get_future()](int item) {
            return item == 0 ? 7 : me.result().result();
        };
        auto reader = pool.submit([&, ordered = round % 2 == 0] {
            const std::vector<int> items{0, 1};
            auto results = ordered ? pool.map({.chunksize = 2}, second_waits, items)
                                   : pool.map_unordered({.chunksize = 2}, second_waits, items);
            return *results.next();
        });
        promise.set_result(reader);
        BOOST_REQUIRE(reader.result(generous) == 7);
    }
}

// A coroutine that has let go of its thread needs one of its pool's to go on.
BOOST_AUTO_TEST_CASE(a_task_that_waits_for_a_coroutine_on_the_only_thread_is_found) {
    ThreadPoolExecutor pool(1);
    Promise<int> promise;
    auto c = pool.submit({.name = "c"}, [&]() -> asio::awaitable<int> {
        co_return co_await promise.get_future();
    });
    auto a = pool.submit({.name = "a"}, [&] { return c.result(); });
    BOOST_TEST(
        refusal_of(a) == "the wait would never end: \"a\", which waits for \"c\", which waits for "
                         "\"a\""
    );
    promise.set_result(7);
    BOOST_TEST(c.result(generous) == 7);
}

BOOST_AUTO_TEST_CASE(tasks_on_all_threads_that_wait_for_coroutines_are_found) {
    ThreadPoolExecutor pool(2);
    Promise<int> promise;
    const auto coroutine = [&]() -> asio::awaitable<int> {
        co_return co_await promise.get_future();
    };
    std::vector<Future<int>> waiting;
    for (int i = 0; i < 2; ++i) {
        waiting.push_back(pool.submit([c = pool.submit(coroutine)] { return c.result(); }));
    }
    const auto first = wait(waiting, generous, FIRST_COMPLETED);
    BOOST_TEST(first.done.size() == 1U);
    promise.set_result(7);
    BOOST_TEST(count_refused(waiting) == 1);
}

BOOST_AUTO_TEST_CASE(a_task_may_wait_for_a_coroutine_while_another_thread_is_free) {
    ThreadPoolExecutor pool(2);
    auto waiter = pool.submit([&] {
        return pool
            .submit([]() -> asio::awaitable<int> {
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                co_return 7;
            })
            .result();
    });
    BOOST_TEST(waiter.result(generous) == 7);
}

BOOST_AUTO_TEST_SUITE_END()
