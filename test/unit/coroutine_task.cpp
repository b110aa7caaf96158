#include <cofutures/executor.hpp>

#define BOOST_TEST_MODULE coroutine_task
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <cofutures/asio_executor.hpp>
#include <cofutures/process_pool_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::holds;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheck;
using cofutures::test::NoDefault;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Lets go of its thread once.
asio::awaitable<void> step() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

asio::awaitable<int> twice(int value) {
    co_await step();
    co_return 2 * value;
}

// Waits until it is cancelled.
asio::awaitable<void> wait_forever() {
    asio::steady_timer timer(co_await asio::this_coro::executor, 1000h);
    co_await timer.async_wait(asio::use_awaitable);
}

// What each executor of this process has to do with coroutines.
void check_coroutines(Executor& executor) {
    BOOST_TEST(executor.submit(twice, 1).result() == 2);
    const Future<int> lambda =
        executor.submit([base = 3]() -> asio::awaitable<int> { co_return co_await twice(base); });
    BOOST_TEST(lambda.result() == 6);
    const Future<void> nothing = executor.submit(step);
    nothing.result();
    const auto fails = []() -> asio::awaitable<int> {
        co_await step();
        throw std::domain_error("x");
    };
    BOOST_CHECK_THROW(executor.submit(fails).result(), std::domain_error);
    BOOST_TEST(executor.submit({.priority = 1, .name = "c"}, twice, 4).result() == 8);
    BOOST_TEST(executor.try_submit(twice, 5)->result() == 10);
    const Future<Future<int>> submitted = executor.submit([&]() -> asio::awaitable<Future<int>> {
        co_return co_await executor.async_submit(asio::use_awaitable, twice, 6);
    });
    BOOST_TEST(submitted.result().result() == 12);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(coroutine_tasks)

BOOST_AUTO_TEST_CASE(run_on_every_executor_of_this_process) {
    ThreadPoolExecutor pool(2);
    check_coroutines(pool);
    asio::thread_pool threads(2);
    {
        AsioExecutor executor(threads.get_executor());
        check_coroutines(executor);
    }
    {
        AsioExecutor executor(asio::make_strand(threads));
        check_coroutines(executor);
    }
    threads.join();
}

BOOST_AUTO_TEST_CASE(give_values_of_every_type) {
    ThreadPoolExecutor pool(1);
    static int target = 0;
    const auto reference = []() -> asio::awaitable<std::reference_wrapper<int>> {
        co_return target;
    };
    const auto moved = []() -> asio::awaitable<std::unique_ptr<int>> {
        co_return std::make_unique<int>(1);
    };
    const auto no_default = []() -> asio::awaitable<NoDefault> {
        co_return NoDefault(2);
    };
    BOOST_TEST(&pool.submit(reference).result().get() == &target);
    BOOST_TEST(*pool.submit(moved).result() == 1);
    BOOST_TEST(pool.submit(no_default).result().value == 2);
}

BOOST_AUTO_TEST_CASE(keep_callable_and_arguments_until_the_end) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(1);
    Gate waiting;
    Promise<void> go;
    const auto future = pool.submit(
        [&, captured = Observed(counts, 1)](const Observed& argument) -> asio::awaitable<int> {
            waiting.open();
            co_await go.get_future();
            co_return captured.value() + argument.value();
        },
        Observed(counts, 2)
    );
    waiting.wait();
    BOOST_TEST(counts.live() == 2);
    std::atomic<int> live_at_the_end{-1};
    future.add_done_callback([&] { live_at_the_end = counts.live(); });
    go.set_result();
    BOOST_TEST(future.result() == 3);
    pool.shutdown();
    BOOST_TEST(live_at_the_end == 0);
}

BOOST_AUTO_TEST_CASE(take_move_only_arguments) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit(
        [](std::unique_ptr<int> value) -> asio::awaitable<int> {
            co_await step();
            co_return *value;
        },
        std::make_unique<int>(4)
    );
    BOOST_TEST(future.result() == 4);
}

BOOST_AUTO_TEST_CASE(throw_what_the_function_throws_before_it_is_a_coroutine) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit(
        [](bool fails) -> asio::awaitable<int> {
            if (fails) {
                throw std::domain_error("no coroutine");
            }
            return twice(1);
        },
        true
    );
    BOOST_CHECK_THROW(future.result(), std::domain_error);
}

BOOST_AUTO_TEST_CASE(can_be_cancelled_until_they_begin) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(1);
    Gate begun;
    Gate release;
    pool.submit([&] {
        begun.open();
        release.wait();
    });
    begun.wait();
    const auto future = pool.submit([part = Observed(counts)]() -> asio::awaitable<void> {
        BOOST_ERROR("it was cancelled");
        co_return;
    });
    BOOST_TEST(counts.live() == 1);
    BOOST_TEST(future.cancel());
    BOOST_TEST(counts.live() == 0);
    release.open();
    BOOST_CHECK_THROW(future.result(), CancelledError);
}

BOOST_AUTO_TEST_CASE(cannot_be_cancelled_while_they_wait_but_stopped) {
    ThreadPoolExecutor pool(1);
    Gate begun;
    const auto future = pool.submit([&]() -> asio::awaitable<void> {
        begun.open();
        co_await wait_forever();
    });
    begun.wait();
    BOOST_TEST(future.running());
    BOOST_TEST(!future.cancel());
    BOOST_TEST(future.request_stop());
    BOOST_TEST(is_aborted(future.exception()));
    BOOST_TEST(!future.request_stop());
}

BOOST_AUTO_TEST_CASE(get_a_stop_token_if_they_take_one) {
    ThreadPoolExecutor pool(2);
    Gate begun;
    const auto future = pool.submit(
        [&](std::stop_token token, int value) -> asio::awaitable<int> {
            begun.open();
            try {
                co_await wait_forever();
            } catch (const boost::system::system_error&) {
                value += token.stop_requested() ? 1 : 0;
            }
            co_return value;
        },
        1
    );
    begun.wait();
    BOOST_TEST(future.request_stop());
    BOOST_TEST(future.result() == 2);
}

BOOST_AUTO_TEST_CASE(find_a_stop_that_was_requested_before_they_began) {
    asio::io_context context;
    const auto future = submit(context.get_executor(), wait_forever);
    BOOST_TEST(future.request_stop());
    context.run();
    BOOST_TEST(is_aborted(future.exception()));
}

BOOST_AUTO_TEST_CASE(wait_for_each_other_without_a_thread_each) {
    ThreadPoolExecutor pool(1);
    constexpr int coroutines = 100;
    Promise<int> start;
    std::vector<Future<int>> chain{start.get_future()};
    for (int i = 0; i < coroutines; ++i) {
        chain.push_back(pool.submit([before = chain.back()]() -> asio::awaitable<int> {
            co_return 1 + co_await before;
        }));
    }
    start.set_result(0);
    BOOST_TEST(chain.back().result() == coroutines);
}

BOOST_AUTO_TEST_CASE(do_not_look_like_a_deadlock_to_a_task_on_the_thread_they_began_on) {
    ThreadPoolExecutor pool(2);
    Promise<void> go;
    Gate waiting;
    std::atomic<std::thread::id> began_on;
    const auto coroutine = pool.submit([&]() -> asio::awaitable<int> {
        began_on = std::this_thread::get_id();
        waiting.open();
        co_await go.get_future();
        co_return 1;
    });
    waiting.wait();
    std::array<Gate, 2> arrived;
    const auto task = [&](std::size_t which) {
        arrived[which].open();
        arrived[1 - which].wait();  // so each of them has a thread
        if (std::this_thread::get_id() != began_on) {
            return 1;  // and leaves its thread to the coroutine
        }
        go.set_result();
        return coroutine.result();
    };
    const auto first = pool.submit(task, 0U);
    const auto second = pool.submit(task, 1U);
    BOOST_TEST(first.result() == 1);
    BOOST_TEST(second.result() == 1);
}

BOOST_AUTO_TEST_CASE(use_operators_safely_on_several_threads) {
    using namespace asio::experimental::awaitable_operators;
    ThreadPoolExecutor pool(3);
    std::vector<Future<int>> futures;
    for (int i = 0; i < 200; ++i) {
        futures.push_back(pool.submit([&pool]() -> asio::awaitable<int> {
            auto first = pool.submit([] { return 1; });
            auto second = pool.submit([] { return 1; });
            const auto winner =
                co_await (first.async_result() || second.async_result() || wait_forever());
            co_return winner.index() < 2 ? 1 : 0;
        }));
    }
    int sum = 0;
    for (const auto& future : futures) {
        sum += future.result();
    }
    BOOST_TEST(sum == 200);
}

BOOST_AUTO_TEST_CASE(are_waited_for_by_shutdown) {
    std::atomic<int> ended{0};
    const auto coroutine = [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 10; ++i) {
            asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
        ++ended;
    };
    {
        ThreadPoolExecutor pool(2);
        for (int i = 0; i < 20; ++i) {
            pool.submit(coroutine);
        }
        pool.shutdown();
        BOOST_TEST(ended == 20);
        BOOST_CHECK_THROW(pool.submit(coroutine), ShutdownError);
    }
    asio::thread_pool threads(1);
    AsioExecutor executor(threads.get_executor());
    for (int i = 0; i < 20; ++i) {
        executor.submit(coroutine);
    }
    executor.shutdown();
    BOOST_TEST(ended == 40);
    BOOST_CHECK_THROW(executor.submit(coroutine), ShutdownError);
}

BOOST_AUTO_TEST_CASE(futures_outlive_the_pool) {
    Future<std::string> future;
    {
        ThreadPoolExecutor pool(1);
        future = pool.submit([]() -> asio::awaitable<std::string> {
            co_await step();
            co_return "value";
        });
    }
    BOOST_TEST(future.result() == "value");
    BOOST_TEST(!future.request_stop());
}

BOOST_AUTO_TEST_CASE(break_when_their_context_ends_first) {
    ObjectCounts counts;
    Future<void> waiting;
    Future<void> pending;
    {
        asio::io_context context;
        const auto coroutine = [](Observed part) -> asio::awaitable<void> {
            co_await wait_forever();
            BOOST_TEST(part.value() == 0);
        };
        waiting = submit(context.get_executor(), coroutine, Observed(counts));
        context.poll();
        BOOST_TEST(waiting.running());
        pending = submit(context.get_executor(), coroutine, Observed(counts));
    }
    BOOST_CHECK_THROW(waiting.result(), BrokenExecutor);
    BOOST_CHECK_THROW(pending.result(), BrokenExecutor);
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(!waiting.request_stop());
}

BOOST_AUTO_TEST_CASE(of_an_asio_executor_break_when_its_context_ends_first) {
    auto context = std::make_unique<asio::io_context>();
    AsioExecutor executor(context->get_executor());
    const auto future = executor.submit(wait_forever);
    context->poll();
    BOOST_TEST(future.running());
    context.reset();
    BOOST_CHECK_THROW(future.result(), BrokenExecutor);
    executor.shutdown();  // has nothing to wait for
    BOOST_CHECK_THROW(executor.submit(wait_forever), ShutdownError);
}

BOOST_AUTO_TEST_CASE(cannot_leave_the_process) {
    ProcessPoolExecutor processes(1);
    Executor& executor = processes;
    BOOST_CHECK_THROW(executor.submit(twice, 1), SerializationError);
    BOOST_CHECK_THROW(executor.try_submit(twice, 1), SerializationError);
    asio::io_context context;
    std::exception_ptr seen;
    executor.async_submit(
        asio::bind_executor(
            context, [&](std::exception_ptr error, const Future<int>&) { seen = std::move(error); }
        ),
        twice,
        1
    );
    context.run();
    BOOST_TEST(holds<SerializationError>(seen));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(options)

// g++ 12 destroys a second time what an aggregate owns that is made inside a co_await expression.
BOOST_AUTO_TEST_CASE(may_be_made_inside_a_co_await_expression) {
    ThreadPoolExecutor pool(1);
    asio::io_context context;
    int sum = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < 10; ++i) {
                sum += co_await pool.submit(
                    TaskOptions{.priority = i, .name = "a name too long for the string's own room"},
                    [](int value) { return value; },
                    i
                );
                sum += co_await pool.submit({.name = "short"}, [] { return 1; });
            }
        },
        asio::detached
    );
    context.run();
    BOOST_TEST(sum == 45 + 10);
}

BOOST_AUTO_TEST_CASE(name_is_copied) {
    ThreadPoolExecutor pool(1);
    Gate started;
    Gate release;
    auto blocker = pool.submit([&] {
        started.open();
        release.wait();
    });
    started.wait();
    auto name = std::make_unique<std::string>("a name that goes before the task begins");
    auto label = pool.submit({.name = *name}, [] { return 1; });
    name.reset();
    release.open();
    BOOST_TEST(label.result() == 1);
    blocker.result();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(free_submit)

BOOST_AUTO_TEST_CASE(spawns_a_coroutine_on_any_executor) {
    asio::io_context context;
    const Future<int> plain = submit(context.get_executor(), twice, 1);
    const Future<int> on_strand = submit(asio::make_strand(context), twice, 2);
    const Future<int> erased = submit(asio::any_io_executor(context.get_executor()), twice, 3);
    bool on_context = false;
    submit(context.get_executor(), [&]() -> asio::awaitable<void> {
        co_await step();
        on_context = context.get_executor().running_in_this_thread();
    });
    context.run();
    BOOST_TEST(plain.result() == 2);
    BOOST_TEST(on_strand.result() == 4);
    BOOST_TEST(erased.result() == 6);
    BOOST_TEST(on_context);
}

BOOST_AUTO_TEST_CASE(takes_awaitables_of_the_executor_s_own_type) {
    using Executor = asio::io_context::executor_type;
    asio::io_context context;
    const Future<int> future =
        submit(context.get_executor(), []() -> asio::awaitable<int, Executor> { co_return 5; });
    context.run();
    BOOST_TEST(future.result() == 5);
}

BOOST_AUTO_TEST_SUITE_END()
