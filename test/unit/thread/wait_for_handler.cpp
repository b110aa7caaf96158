#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE wait_for_handler
#include <boost/test/unit_test.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/wait.hpp>
#include <cofutures/when_all.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/refusal.hpp"
#include "support/thread_state.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/any_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context_as.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

// A handler of a pool's Asio executor needs a thread of the pool: waits in tasks that leave none.

namespace asio = boost::asio;
using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

const std::string refusal = "the wait would never end: \"a\", which waits for ";

int plus_one(int value) {
    return value + 1;
}

int one() {
    return 1;
}

asio::awaitable<int> one_later() {
    co_await asio::post(asio::use_awaitable);
    co_return 1;
}

// What a task named "a" of a pool of one thread is told that waits for the future which `make`
// gives. The handler runs when the task has ended.
template <class Make>
std::string refusal_in_a_pool_of_one(Make make) {
    ThreadPoolExecutor pool(1);
    Promise<Future<int>> refused;
    std::string text = refusal_of(pool.submit({.name = "a"}, [&] {
        const Future<int> future = make(pool);
        refused.set_result(future);
        return future.result();
    }));
    BOOST_TEST(refused.get_future().result().result(generous) == 1);
    return text;
}

// The same where a second thread is free: nothing, and the future's value is 1.
template <class Make>
bool ends_in_a_pool_of_two(Make make) {
    ThreadPoolExecutor pool(2);
    return pool.submit([&] { return make(pool).result(); }).result(generous) == 1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(waits_for_handlers)

BOOST_AUTO_TEST_CASE(a_continuation_needs_a_thread) {
    Promise<int> zero;
    zero.set_result(0);
    const auto then = [future = zero.get_future()](ThreadPoolExecutor& pool) {
        return future.then(pool.get_executor(), plus_one);
    };
    BOOST_TEST(
        refusal_in_a_pool_of_one(then) == refusal + "\"a continuation\", which waits for \"a\""
    );
    BOOST_TEST(ends_in_a_pool_of_two(then));
}

BOOST_AUTO_TEST_CASE(it_does_so_already_while_what_it_continues_has_not_ended) {
    Promise<int> zero;
    ThreadPoolExecutor pool(1);
    const auto waiter = pool.submit({.name = "a"}, [&] {
        return zero.get_future().then(pool.get_executor(), plus_one).result();
    });
    BOOST_TEST(refusal_of(waiter) == refusal + "\"a continuation\", which waits for \"a\"");
    zero.set_result(0);
}

BOOST_AUTO_TEST_CASE(what_it_continues_is_run_in_place) {
    ThreadPoolExecutor other(1);
    BOOST_TEST(ends_in_a_pool_of_two([](ThreadPoolExecutor& pool) {
        const auto held = pool.submit([] { return 0; });
        return held.then(pool.get_executor(), plus_one);
    }));
    ThreadPoolExecutor pool(1);
    const auto executor = other.get_executor();
    const auto call = pool.submit([&] {
        return pool.submit([] { return 0; }).then(executor, plus_one).result();
    });
    BOOST_TEST(call.result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(so_do_those_behind_it) {
    Promise<int> zero;
    zero.set_result(0);
    const auto chain = [&](ThreadPoolExecutor& pool) {
        const auto executor = pool.get_executor();
        const auto first = zero.get_future().then(executor, plus_one);
        const auto all = when_all(first.then(plus_one), first.then(executor, plus_one));
        return all.then([](const auto& /*all*/) { return 1; });
    };
    BOOST_TEST(refusal_in_a_pool_of_one(chain).starts_with(refusal));
}

BOOST_AUTO_TEST_CASE(the_executor_may_be_in_another_one) {
    Promise<int> zero;
    zero.set_result(0);
    const auto any = [future = zero.get_future()](ThreadPoolExecutor& pool) {
        return future.then(asio::any_io_executor(pool.get_executor()), plus_one);
    };
    const auto strand = [future = zero.get_future()](ThreadPoolExecutor& pool) {
        return future.then(asio::make_strand(pool.get_executor()), plus_one);
    };
    BOOST_TEST(refusal_in_a_pool_of_one(any).starts_with(refusal));
    BOOST_TEST(ends_in_a_pool_of_two(any));
    BOOST_TEST(refusal_in_a_pool_of_one(strand).starts_with(refusal));
    BOOST_TEST(ends_in_a_pool_of_two(strand));
}

BOOST_AUTO_TEST_CASE(a_call_that_is_posted_needs_a_thread) {
    const auto post = [](ThreadPoolExecutor& pool) {
        return submit(pool.get_executor(), one);
    };
    const auto spawn = [](ThreadPoolExecutor& pool) {
        return submit(pool.get_executor(), one_later);
    };
    BOOST_TEST(refusal_in_a_pool_of_one(post).starts_with(refusal));
    BOOST_TEST(ends_in_a_pool_of_two(post));
    BOOST_TEST(refusal_in_a_pool_of_one(spawn).starts_with(refusal));
    BOOST_TEST(ends_in_a_pool_of_two(spawn));
}

BOOST_AUTO_TEST_CASE(so_does_one_of_an_executor_on_top_of_it) {
    for (const int threads : {1, 2}) {
        ThreadPoolExecutor pool(threads);
        AsioExecutor executor(pool.get_executor());
        const auto wait_for = [&](auto call) {
            return pool.submit({.name = "a"}, [&, call] { return executor.submit(call).result(); });
        };
        if (threads == 1) {
            BOOST_TEST(refusal_of(wait_for(one)).starts_with(refusal));
            BOOST_TEST(refusal_of(wait_for(one_later)).starts_with(refusal));
        } else {
            BOOST_TEST(wait_for(one).result(generous) == 1);
            BOOST_TEST(wait_for(one_later).result(generous) == 1);
        }
    }
}

// Its destructor, in a task, waits for nothing that needs the task's thread, whoever was the first
// to ask for the pool's executor.
BOOST_AUTO_TEST_CASE(an_executor_on_top_of_it_can_be_destroyed_in_a_task) {
    ThreadPoolExecutor pool(1);
    const auto call = pool.submit([&] {
        AsioExecutor executor(pool.get_executor());
        auto future = executor.submit(one);
        BOOST_CHECK_THROW(executor.shutdown(), DeadlockError);
        return future;
    });
    BOOST_TEST(call.result(generous).result(generous) == 1);
}

// A coroutine that has begun is at the place where it goes on.
BOOST_AUTO_TEST_CASE(a_coroutine_on_another_executor_that_goes_on_in_the_pool) {
    Promise<void> later;
    ThreadPoolExecutor pool(1);
    const auto executor = pool.get_executor();
    const auto coroutine = submit(executor, [&]() -> asio::awaitable<int> {
        co_await later.get_future();
        co_return 1;
    });
    const auto waiter = pool.submit({.name = "a"}, [&] { return coroutine.result(); });
    BOOST_TEST(refusal_of(waiter).starts_with(refusal));
    later.set_result();
    BOOST_TEST(coroutine.result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(of_two_that_leave_no_thread_the_second_is_refused) {
    ThreadPoolExecutor pool(2);
    const auto executor = pool.get_executor();
    Promise<int> zero;
    std::vector<Future<int>> waiters;
    for (int i = 0; i < 2; ++i) {
        waiters.push_back(pool.submit([&] {
            return zero.get_future().then(executor, plus_one).result();
        }));
    }
    const auto done = wait(waiters, generous, FIRST_COMPLETED).done;
    BOOST_REQUIRE(done.size() == 1);
    BOOST_TEST(refusal_of(*done.begin()).starts_with("the wait would never end: "));
    zero.set_result(0);
    int returned = 0;
    for (const auto& waiter : waiters) {
        returned += waiter.exception(generous) == nullptr ? 1 : 0;
    }
    BOOST_TEST(returned == 1);
}

BOOST_AUTO_TEST_CASE(a_cycle_may_lead_through_two_pools) {
    ThreadPoolExecutor one(1);
    ThreadPoolExecutor two(1);
    Promise<int> zero;
    Promise<Future<int>> first;
    const auto b = two.submit({.name = "b"}, [&] { return first.get_future().result().result(); });
    const auto a = one.submit({.name = "a"}, [&] {
        return zero.get_future().then(two.get_executor(), plus_one).result();
    });
    first.set_result(a);
    BOOST_TEST(refusal_of(b).starts_with("the wait would never end: "));  // its own, or that of "a"
    zero.set_result(0);
}

BOOST_AUTO_TEST_CASE(another_context_is_nobodys_pool) {
    asio::thread_pool elsewhere(1);
    Promise<int> zero;
    zero.set_result(0);
    ThreadPoolExecutor pool(1);
    const auto waiter = pool.submit([&] {
        const auto then = zero.get_future().then(elsewhere.get_executor(), plus_one);
        return then.result() + submit(elsewhere.get_executor(), one).result();
    });
    BOOST_TEST(waiter.result(generous) == 2);
}

// Threads in excess of max_workers run tasks, but no handlers.
BOOST_AUTO_TEST_CASE(an_extra_thread_is_of_no_help) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
    const auto executor = pool.get_executor();
    Promise<int> zero;
    Gate gate;
    const auto waiter = pool.submit({.name = "a"}, [&] {
        // Once this waits there is an extra thread, which does not wait.
        auto held = pool.submit([&] { gate.wait(); });
        return zero.get_future().then(executor, plus_one).result();
    });
    BOOST_TEST(refusal_of(waiter).starts_with(refusal));
    gate.open();
    zero.set_result(0);
}

// The waiting thread is not in Asio when the executor is first asked for: an extra one goes there.
BOOST_AUTO_TEST_CASE(unless_it_joins_asio_first) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
    Promise<int> zero;
    zero.set_result(0);
    const auto waiter = pool.submit([&] {
        const auto executor = pool.get_executor();
        auto wants_a_thread = pool.submit([] {});
        return zero.get_future().then(executor, plus_one).result();
    });
    BOOST_TEST(waiter.result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(after_shutdown_nobody_comes_for_it) {
    Promise<int> zero;
    zero.set_result(0);
    ThreadPoolExecutor pool(2);
    Gate closed;
    const auto waiter = pool.submit({.name = "a"}, [&] {
        closed.wait();
        return zero.get_future().then(pool.get_executor(), plus_one).result();
    });
    pool.shutdown(false);
    closed.open();
    BOOST_TEST(refusal_of(waiter) == refusal + "\"a continuation\", which waits for \"a\"");
}

BOOST_AUTO_TEST_CASE(after_shutdown_a_thread_that_is_there_suffices) {
    Promise<int> zero;
    zero.set_result(0);
    ThreadPoolExecutor pool(2);
    Gate closed;
    Gate may_end;
    const auto waiter = pool.submit([&] {
        closed.wait();
        const auto continuation = zero.get_future().then(pool.get_executor(), plus_one);
        may_end.open();
        return continuation.result();
    });
    const auto other = pool.submit([&] { may_end.wait(); });
    pool.shutdown(false);
    closed.open();
    BOOST_TEST(waiter.result(generous) == 1);
}

// Holds up whoever submits a task of that name.
class HoldingObserver final : public ExecutorObserver {
public:
    void task_queued(const TaskEvent& event) noexcept override {
        if (event.name == "held") {
            holds.open();
            lets_go.wait();
        }
    }

    Gate holds;
    Gate lets_go;
};

BOOST_AUTO_TEST_CASE(after_shutdown_a_task_that_is_about_to_be_queued_may_bring_a_thread) {
    const auto observer = std::make_shared<HoldingObserver>();
    ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = "", .observer = observer});
    Promise<int> zero;
    zero.set_result(0);
    Promise<pid_t> thread;
    Gate closed;
    const auto waiter = pool.submit([&] {
        closed.wait();
        const auto continuation = zero.get_future().then(pool.get_executor(), plus_one);
        thread.set_result(::gettid());
        return continuation.result();
    });
    std::thread submitter([&] { pool.submit({.name = "held"}, one).wait(); });
    observer->holds.wait();
    pool.shutdown(false);
    closed.open();
    BOOST_TEST(falls_asleep(thread.get_future().result(generous)));
    observer->lets_go.open();
    BOOST_TEST(waiter.result(generous) == 1);
    submitter.join();
}

BOOST_AUTO_TEST_CASE(a_pool_that_has_ended_runs_nothing) {
    ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "p"});
    ThreadPoolExecutor other(1);
    pool.shutdown();
    const auto executor = pool.get_executor();
    const std::string text =
        "the wait would never end: no thread of \"p\" is left to run it, as the "
        "pool was shut down, or broke";
    const auto is_right = [&](const DeadlockError& error) {
        return error.what() == text;
    };
    BOOST_CHECK_EXCEPTION(submit(executor, one).result(), DeadlockError, is_right);
    BOOST_TEST(refusal_of(other.submit([&] { return submit(executor, one).result(); })) == text);
}

// A thread that is no worker and waits for a call that it posts.
class Outsider {
public:
    explicit Outsider(const ThreadPoolExecutor::executor_type& executor)
        : thread_([this, executor] {
              thread_id_.set_result(::gettid());
              try {
                  submit(executor, one).result();
                  refusal_.set_result("");
              } catch (const DeadlockError& error) {
                  refusal_.set_result(error.what());
              }
          }) {}
    Outsider(const Outsider&) = delete;
    Outsider& operator=(const Outsider&) = delete;
    ~Outsider() { thread_.join(); }

    bool sleeps() { return falls_asleep(thread_id_.get_future().result(generous)); }
    std::string refusal() { return refusal_.get_future().result(generous); }

private:
    Promise<pid_t> thread_id_;
    Promise<std::string> refusal_;
    std::thread thread_;
};

// A pool whose last thread is not initialized until `fails` is open, and then breaks it.
ThreadPoolOptions last_fails_after(const Gate& fails, int threads) {
    return {
        .max_workers = threads,
        .thread_name_prefix = "",
        .initializer =
            [&fails, threads, starts = std::make_shared<std::atomic<int>>(0)] {
                if (++*starts == threads) {
                    fails.wait();
                    throw std::runtime_error("failed");
                }
            },
    };
}

BOOST_AUTO_TEST_CASE(a_thread_may_fail_while_others_wait_for_it) {
    Gate fails;
    Promise<pid_t> thread;
    Promise<int> zero;
    zero.set_result(0);
    ThreadPoolExecutor pool(last_fails_after(fails, 2));
    const auto waiter = pool.submit({.name = "a"}, [&] {
        const auto continuation = zero.get_future().then(pool.get_executor(), plus_one);
        thread.set_result(::gettid());
        return continuation.result();
    });
    BOOST_TEST(falls_asleep(thread.get_future().result(generous)));
    fails.open();
    BOOST_TEST(refusal_of(waiter) == refusal + "\"a continuation\", which waits for \"a\"");
}

// Two that leave no thread for each other's continuation, one that waits for the first of them, and
// a thread that is no worker and waits for a continuation of its own.
template <class Wait>
void check_that_one_of_two_is_refused(Wait wait_for) {
    Gate fails;
    Promise<int> zero;
    ThreadPoolExecutor pool(last_fails_after(fails, 3));
    ThreadPoolExecutor other(1);
    const auto executor = pool.get_executor();
    std::array<Promise<pid_t>, 4> threads;
    const auto task = [&](Promise<pid_t>& as) {
        const auto continuation = zero.get_future().then(executor, plus_one);
        as.set_result(::gettid());
        return wait_for(continuation);
    };
    const auto asleep = [&](std::size_t index) {
        return falls_asleep(threads.at(index).get_future().result(generous));
    };
    const auto first = pool.submit([&] { return task(threads[0]); });
    BOOST_TEST(asleep(0));
    const auto second = pool.submit([&] { return task(threads[1]); });
    BOOST_TEST(asleep(1));
    const auto third = other.submit([&] {
        threads[2].set_result(::gettid());
        return first.exception() == nullptr || second.exception() == nullptr;
    });
    BOOST_TEST(asleep(2));
    Promise<int> value;
    std::thread outsider([&] {
        try {
            value.set_result(task(threads[3]));
        } catch (const DeadlockError&) {
            value.set_exception(std::current_exception());
        }
    });
    BOOST_TEST(asleep(3));
    zero.set_result(0);
    fails.open();
    BOOST_TEST(third.result(generous));
    BOOST_TEST((refusal_of(first).empty() != refusal_of(second).empty()));
    BOOST_TEST(value.get_future().result(generous) == 1);
    outsider.join();
}

BOOST_AUTO_TEST_CASE(of_those_that_are_left_without_help_only_one_is_refused) {
    check_that_one_of_two_is_refused([](const Future<int>& future) { return future.result(); });
    check_that_one_of_two_is_refused([](const Future<int>& future) {
        return when_all(std::vector{future}).result().at(0);
    });
    check_that_one_of_two_is_refused([](const Future<int>& future) {
        return wait(std::vector{future}).done.at(0).result();
    });
}

BOOST_AUTO_TEST_CASE(the_last_thread_may_be_about_to_leave) {
    Gate leaves;
    Gate may_leave;
    ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "", .finalizer = [&] {
                                 leaves.open();
                                 may_leave.wait();
                             }});
    const auto executor = pool.get_executor();
    pool.shutdown(false);
    leaves.wait();
    Outsider waiter(executor);
    BOOST_TEST(waiter.sleeps());
    may_leave.open();
    BOOST_TEST(waiter.refusal().find("is left to run it") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_extra_thread_that_fails_gives_its_place_back) {
    Gate fails;
    Gate fails_soon;
    Gate blocks;
    Promise<void> ends;
    ThreadPoolExecutor pool(
        {.max_workers = 1,
         .thread_name_prefix = "",
         .initializer =
             [&, starts = std::make_shared<std::atomic<int>>(0)] {
                 if (++*starts == 2) {
                     fails_soon.open();
                     fails.wait();
                     throw std::runtime_error("failed");
                 }
             },
         .max_extra_threads = 1}
    );
    const auto blocked = pool.submit([&] {
        blocks.wait();
        ends.get_future().result();
    });
    // The one thread is to join Asio when it is free; the extra thread, which comes for the backlog
    // when that one blocks, does so before.
    const auto backlog = pool.submit(one);
    const auto executor = pool.get_executor();
    blocks.open();
    fails_soon.wait();
    ends.set_result();
    blocked.result(generous);
    const auto handled = submit(executor, one);
    fails.open();
    BOOST_TEST(handled.result(generous) == 1);
    backlog.wait();
}

BOOST_AUTO_TEST_CASE(a_pool_without_threads_may_be_known_as_such_too_late) {
    Gate fails;
    ThreadPoolExecutor pool(last_fails_after(fails, 1));
    Outsider waiter(pool.get_executor());
    BOOST_TEST(waiter.sleeps());
    fails.open();
    BOOST_TEST(waiter.refusal().find("is left to run it") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_broken_pool_gives_no_executor) {
    Gate fails;
    fails.open();
    ThreadPoolExecutor pool(last_fails_after(fails, 2));
    const auto executor = pool.get_executor();
    BOOST_TEST(submit(executor, one).result(generous) == 1);
    const auto is_broken = [&] {
        try {
            static_cast<void>(pool.get_executor());
            return false;
        } catch (const BrokenThreadPool&) {
            return true;
        }
    };
    BOOST_TEST(eventually(is_broken));
    BOOST_TEST(submit(executor, one).result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(an_executor_that_keeps_no_work_may_go_before_its_continuations) {
    using Executor = asio::execution::any_executor<
        asio::execution::context_as_t<asio::execution_context&>,
        asio::execution::blocking_t::never_t>;
    Promise<int> zero;
    Future<int> continuation;
    {
        ThreadPoolExecutor pool(1);
        continuation = zero.get_future().then(Executor(pool.get_executor()), plus_one);
    }
    ThreadPoolExecutor other(1);
    Gate waits;
    const auto waiter = other.submit([&] {
        waits.open();
        return continuation.result();
    });
    waits.wait();
    continuation.cancel();
    BOOST_CHECK_THROW(waiter.result(generous), CancelledError);
}

BOOST_AUTO_TEST_CASE(a_wait_with_a_limit_ends_by_itself) {
    ThreadPoolExecutor pool(1);
    Promise<int> zero;
    zero.set_result(0);
    const auto waiter = pool.submit([&] {
        const auto then = zero.get_future().then(pool.get_executor(), plus_one);
        BOOST_TEST(!then.wait_for(std::chrono::milliseconds(1)));
        return then;
    });
    BOOST_TEST(waiter.result(generous).result(generous) == 1);
}

BOOST_AUTO_TEST_SUITE_END()
