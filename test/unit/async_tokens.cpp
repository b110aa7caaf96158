#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE async_tokens
#include <boost/test/unit_test.hpp>

#include <cofutures/cancel_on_abort.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/coro.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::an_error;
using cofutures::test::CountingAllocator;
using cofutures::test::Gate;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheckWithoutSystemThreads;
using cofutures::test::NoDefault;
using cofutures::test::run;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheckWithoutSystemThreads);

// A future is an asynchronous operation, whatever it holds.
static_assert(asio::is_async_operation<Future<int>>::value);
static_assert(asio::is_async_operation<Future<int>&>::value);
static_assert(asio::is_async_operation<const Future<int>&>::value);
static_assert(asio::is_async_operation<Future<void>>::value);
static_assert(asio::is_async_operation<Future<std::unique_ptr<int>>>::value);
static_assert(asio::is_async_operation<Future<NoDefault>>::value);
static_assert(asio::is_async_operation<Future<int&>>::value);
static_assert(std::is_same_v<
              asio::completion_signature_of_t<Future<int>>,
              void(std::exception_ptr, int)>);
static_assert(std::is_same_v<
              asio::completion_signature_of_t<Future<void>>,
              void(std::exception_ptr)>);
static_assert(std::is_same_v<
              asio::completion_signature_of_t<Future<NoDefault>>,
              void(std::exception_ptr, std::optional<NoDefault>)>);

namespace {

template <class T, class... Args>
Future<T> ready(Args&&... args) {
    Promise<T> promise;
    promise.set_result(std::forward<Args>(args)...);
    return promise.get_future();
}

template <class T>
Future<T> failed() {
    Promise<T> promise;
    promise.set_exception(an_error());
    return promise.get_future();
}

// A handler, which shows whether it was moved from. (An executor_binder is moved from by Asio
// itself.)
struct CallCounter {
    using executor_type = asio::io_context::executor_type;

    std::shared_ptr<int> calls;
    executor_type executor;

    [[nodiscard]] executor_type get_executor() const noexcept { return executor; }

    template <class... Args>
    void operator()(Args&&... /*args*/) const {
        ++*calls;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(tokens)

BOOST_AUTO_TEST_CASE(use_awaitable_gives_values_of_every_kind) {
    int target = 1;
    run([&]() -> asio::awaitable<void> {
        BOOST_TEST(co_await ready<int>(1)(asio::use_awaitable) == 1);
        co_await ready<void>()(asio::use_awaitable);
        const std::unique_ptr<int> moved =
            co_await ready<std::unique_ptr<int>>(std::make_unique<int>(2))(asio::use_awaitable);
        BOOST_TEST(*moved == 2);
        const std::optional<NoDefault> optional =
            co_await ready<NoDefault>(NoDefault(3))(asio::use_awaitable);
        BOOST_TEST(optional->value == 3);
        int& same = co_await ready<int&>(target)(asio::use_awaitable);
        BOOST_TEST(&same == &target);
    });
    const auto fails = []() -> asio::awaitable<void> {
        co_await failed<int>()(asio::use_awaitable);
    };
    BOOST_CHECK_THROW(run(fails), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_token_that_is_an_lvalue_is_copied) {
    ThreadPoolExecutor pool(1);
    asio::io_context context;
    const auto calls = std::make_shared<int>(0);
    CallCounter token{calls, context.get_executor()};
    const auto check = [&](const char* operation, auto start) {
        start();
        BOOST_TEST((token.calls == calls), operation);
    };
    const auto future = ready<int>(1);
    check("async_result", [&] { future.async_result(token); });
    check("call", [&] { future(token); });
    check("async_result of an rvalue", [&] { ready<int>(1).async_result(token); });
    check("async_result_for", [&] { future.async_result_for(1h, token); });
    check("async_result_for of an rvalue", [&] { ready<int>(1).async_result_for(1h, token); });
    check("async_wait", [&] { future.async_wait(token); });
    check("cancel_on_abort", [&] { cancel_on_abort(future).async_result(token); });
    check("async_wait for several", [&] {
        cofutures::async_wait(std::vector{future}, ALL_COMPLETED, token);
    });
    check("async_submit", [&] { pool.async_submit(token, [] {}); });
    check("async_submit with options", [&] {
        pool.async_submit(token, TaskOptions{.priority = 1}, [] {});
    });
    context.run();
    BOOST_TEST(*calls == 10);
}

#ifndef COFUTURES_NO_AWAIT_SPECIALIZATION
BOOST_AUTO_TEST_CASE(deferred_can_be_awaited) {
    run([&]() -> asio::awaitable<void> {
        BOOST_TEST(co_await ready<int>(1)(asio::deferred) == 1);
        BOOST_TEST(co_await ready<int>(2).async_result(asio::deferred) == 2);
        BOOST_TEST(co_await ready<int>(3).async_result_for(1h, asio::deferred) == 3);
        co_await ready<void>()(asio::deferred);
        co_await ready<int>(4).async_wait(asio::deferred);
        const std::optional<NoDefault> optional =
            co_await ready<NoDefault>(NoDefault(5))(asio::deferred);
        BOOST_TEST(optional->value == 5);
        const std::unique_ptr<int> moved =
            co_await ready<std::unique_ptr<int>>(std::make_unique<int>(6))(asio::deferred);
        BOOST_TEST(*moved == 6);
    });
    const auto fails = []() -> asio::awaitable<void> {
        co_await failed<int>()(asio::deferred);
    };
    BOOST_CHECK_THROW(run(fails), std::runtime_error);
}
#endif

BOOST_AUTO_TEST_CASE(deferred_waits_for_nothing_until_it_is_started) {
    asio::io_context context;
    Promise<int> promise;
    auto operation = promise.get_future().async_result(asio::deferred);
    context.run();
    promise.set_result(4);
    int seen = 0;
    std::move(operation
    )(asio::bind_executor(context, [&](const std::exception_ptr&, int value) { seen = value; }));
    context.restart();
    context.run();
    BOOST_TEST(seen == 4);
}

BOOST_AUTO_TEST_CASE(as_tuple_gives_error_and_value_side_by_side) {
    run([&]() -> asio::awaitable<void> {
        const auto [none, value] = co_await ready<int>(1)(asio::as_tuple(asio::use_awaitable));
        BOOST_CHECK(none == nullptr);
        BOOST_TEST(value == 1);
        const auto [error, nothing] = co_await failed<int>()(asio::as_tuple(asio::use_awaitable));
        BOOST_CHECK_THROW(std::rethrow_exception(error), std::runtime_error);
        BOOST_TEST(nothing == 0);
        const auto [same, moved] = co_await ready<std::unique_ptr<int>>(std::make_unique<int>(2)
        )(asio::as_tuple(asio::deferred));
        BOOST_CHECK(same == nullptr);
        BOOST_TEST(*moved == 2);
        const auto [only] = co_await failed<void>()(asio::as_tuple(asio::use_awaitable));
        BOOST_CHECK_THROW(std::rethrow_exception(only), std::runtime_error);
    });
}

BOOST_AUTO_TEST_CASE(use_future_gives_a_standard_future) {
    asio::io_context context;
    auto value = ready<int>(1)(asio::bind_executor(context, asio::use_future));
    auto nothing = ready<void>()(asio::bind_executor(context, asio::use_future));
    auto moved = ready<std::unique_ptr<int>>(std::make_unique<int>(2)
    )(asio::bind_executor(context, asio::use_future));
    auto error = failed<int>()(asio::bind_executor(context, asio::use_future));
    context.run();
    BOOST_TEST(value.get() == 1);
    nothing.get();
    BOOST_TEST(*moved.get() == 2);
    BOOST_CHECK_THROW(error.get(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(redirect_error_takes_the_code_of_a_wait) {
    asio::io_context context;
    Promise<int> promise;
    run(context, [&]() -> asio::awaitable<void> {
        error_code error;
        co_await promise.get_future().async_wait_for(
            1ms, asio::redirect_error(asio::use_awaitable, error)
        );
        BOOST_TEST(error == asio::error::timed_out);
        promise.set_result(1);
        co_await promise.get_future().async_wait(asio::redirect_error(asio::use_awaitable, error));
        BOOST_TEST(!error);
    });
}

BOOST_AUTO_TEST_CASE(detached_waits_for_nobody_s_sake) {
    asio::io_context context;
    Promise<int> promise;
    promise.get_future().async_result(asio::bind_executor(context, asio::detached));
    promise.get_future().async_wait(asio::bind_executor(context, asio::detached));
    promise.set_exception(an_error());
    BOOST_TEST(context.run() == 2u);
}

BOOST_AUTO_TEST_CASE(plain_handler_may_be_move_only) {
    asio::io_context context;
    int seen = 0;
    ready<int>(1)(asio::bind_executor(
        context,
        [&, part = std::make_unique<int>(2)](const std::exception_ptr&, int value) {
            seen = value + *part;
        }
    ));
    context.run();
    BOOST_TEST(seen == 3);
}

BOOST_AUTO_TEST_CASE(each_adapter_is_honoured_inside_the_others) {
    asio::io_context context;
    asio::cancellation_signal signal;
    cofutures::test::AllocationCounts counts;
    Promise<int> promise;
    bool aborted = false;
    promise.get_future()(asio::bind_allocator(
        CountingAllocator<void>(counts),
        asio::bind_executor(
            context,
            asio::bind_cancellation_slot(
                signal.slot(),
                [&](const std::exception_ptr& error, int) {
                    BOOST_TEST(context.get_executor().running_in_this_thread());
                    BOOST_TEST(counts.live == 0);
                    aborted = is_aborted(error);
                }
            )
        )
    ));
    BOOST_TEST(counts.live == 1);
    signal.emit(asio::cancellation_type::partial);
    context.run();
    BOOST_TEST(aborted);
}

BOOST_AUTO_TEST_CASE(never_complete_inside_the_initiating_call) {
    asio::io_context context;
    int completed = 0;
    asio::post(context, [&] {
        const auto count = [&](auto&&...) {
            ++completed;
        };
        const auto future = ready<int>(1);
        future(asio::bind_executor(context, count));
        future.async_wait(asio::bind_executor(context, count));
        future.async_result_for(1h, asio::bind_executor(context, count));
        future.async_result_for(0s, asio::bind_executor(context, count));
        Promise<int>().get_future().async_wait_for(0s, asio::bind_executor(context, count));
        BOOST_TEST(completed == 0);
    });
    context.run();
    BOOST_TEST(completed == 5);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(groups)

BOOST_AUTO_TEST_CASE(futures_themselves_form_a_parallel_group) {
    using asio::experimental::make_parallel_group;
    asio::io_context context;
    bool called = false;
    make_parallel_group(ready<int>(1), ready<std::string>("two"), failed<void>())
        .async_wait(
            asio::experimental::wait_for_all(),
            asio::bind_executor(
                context,
                [&](std::array<std::size_t, 3> order,
                    const std::exception_ptr& first_error,
                    int first,
                    const std::exception_ptr& second_error,
                    const std::string& second,
                    const std::exception_ptr& third_error) {
                    BOOST_TEST(order.size() == 3u);
                    BOOST_CHECK(first_error == nullptr);
                    BOOST_TEST(first == 1);
                    BOOST_CHECK(second_error == nullptr);
                    BOOST_TEST(second == "two");
                    BOOST_CHECK_THROW(std::rethrow_exception(third_error), std::runtime_error);
                    called = true;
                }
            )
        );
    context.run();
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(future_and_timer_form_a_parallel_group) {
    using asio::experimental::make_parallel_group;
    asio::io_context context;
    asio::steady_timer timer(context, 1ms);
    Promise<int> promise;
    bool called = false;
    make_parallel_group(promise.get_future(), timer.async_wait(asio::deferred))
        .async_wait(
            asio::experimental::wait_for_one(),
            asio::bind_executor(
                context,
                [&](std::array<std::size_t, 2> order,
                    const std::exception_ptr& error,
                    int,
                    error_code timer_error) {
                    BOOST_TEST(order[0] == 1u);
                    BOOST_TEST(is_aborted(error));
                    BOOST_TEST(!timer_error);
                    called = true;
                }
            )
        );
    context.run();
    BOOST_TEST(called);
    BOOST_TEST(!promise.get_future().done());
}

BOOST_AUTO_TEST_CASE(vector_of_futures_forms_a_ranged_parallel_group) {
    using asio::experimental::make_parallel_group;
    asio::io_context context;
    std::vector<Promise<int>> promises(3);
    std::vector<Future<int>> futures;
    for (const auto& promise : promises) {
        futures.push_back(promise.get_future());
    }
    int sum = 0;
    make_parallel_group(futures).async_wait(
        asio::experimental::wait_for_all(),
        asio::bind_executor(
            context,
            [&](std::vector<std::size_t> order,
                const std::vector<std::exception_ptr>& errors,
                const std::vector<int>& values) {
                BOOST_TEST(order.size() == 3u);
                for (std::size_t i = 0; i < values.size(); ++i) {
                    BOOST_CHECK(errors[i] == nullptr);
                    sum += values[i];
                }
            }
        )
    );
    std::thread producer([&] {
        for (int i = 0; i < 3; ++i) {
            promises[static_cast<std::size_t>(i)].set_result(i + 1);
        }
    });
    context.run();
    producer.join();
    BOOST_TEST(sum == 6);
}

BOOST_AUTO_TEST_CASE(operators_combine_futures_and_timers) {
    using namespace asio::experimental::awaitable_operators;
    asio::io_context context;
    Promise<int> never;
    run(context, [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(context, 1ms);
        const auto first = co_await (
            never.get_future()(asio::use_awaitable) || timer.async_wait(asio::use_awaitable)
        );
        BOOST_TEST(first.index() == 1u);
        timer.expires_after(1h);
        const auto second =
            co_await (ready<int>(2)(asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
        BOOST_TEST(std::get<0>(second) == 2);
        const auto [one, two] =
            co_await (ready<int>(1)(asio::use_awaitable) && ready<int>(2)(asio::use_awaitable));
        BOOST_TEST(one + two == 3);
    });
    const auto one_fails = [&]() -> asio::awaitable<void> {
        co_await (failed<int>()(asio::use_awaitable) && never.get_future()(asio::use_awaitable));
    };
    // Both throw: the one that failed, and the one that was cancelled for it.
    BOOST_CHECK_EXCEPTION(run(one_fails), asio::multiple_exceptions, [](const auto& error) {
        return cofutures::test::holds<std::runtime_error>(error.first_exception());
    });
    BOOST_TEST(!never.get_future().done());
}

BOOST_AUTO_TEST_CASE(coro_awaits_futures_and_deferred_operations) {
    struct Coro {
        static asio::experimental::coro<void(), int>
        sum(asio::io_context&, Future<int> first, Future<int> second) {
            const int one = co_await std::move(first);
            const int two = co_await second.async_result(asio::deferred);
            co_return one + two;
        }
    };
    asio::io_context context;
    auto coroutine = Coro::sum(context, ready<int>(1), ready<int>(2));
    int seen = 0;
    coroutine.async_resume([&](const std::exception_ptr&, int value) { seen = value; });
    context.run();
    BOOST_TEST(seen == 3);
}

BOOST_AUTO_TEST_SUITE_END()
