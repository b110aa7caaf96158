#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE await
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/coro.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>

namespace asio = boost::asio;
using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::MoveOnlyObserved;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

// Runs a coroutine to its end; what it throws comes out. `start` runs once it waits.
template <class Coroutine, class Start>
void run_with(Coroutine coroutine, Start start) {
    asio::io_context context;
    auto end = asio::co_spawn(context, std::move(coroutine), asio::use_future);
    asio::post(context, std::move(start));
    context.run();
    end.get();
}

template <class Coroutine>
void run(Coroutine coroutine) {
    run_with(std::move(coroutine), [] {});
}

struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
};

// Awaits lvalue, const lvalue and rvalue handles, once before and once after the result is there.
template <class T, class SetResult, class Check>
void await_every_kind(SetResult set_result, Check check) {
    for (const bool before : {true, false}) {
        for (const int kind : {0, 1, 2, 3}) {
            Promise<T> promise;
            bool reached = false;
            if (!before) {
                set_result(promise);
            }
            run_with(
                [&]() -> asio::awaitable<void> {
                    auto future = promise.get_future();
                    switch (kind) {
                    case 0:
                        check(co_await future);
                        break;
                    case 1:
                        check(co_await std::as_const(future));
                        break;
                    case 2:
                        check(co_await std::move(future));
                        break;
                    default:
                        check(co_await promise.get_future());
                    }
                    reached = true;
                },
                [&] {
                    if (before) {
                        set_result(promise);
                    }
                }
            );
            BOOST_TEST(reached);
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(co_await_future)

BOOST_AUTO_TEST_CASE(gives_copyable_values) {
    await_every_kind<std::string>(
        [](Promise<std::string>& promise) { promise.set_result("value"); },
        [](const std::string& value) { BOOST_TEST(value == "value"); }
    );
}

BOOST_AUTO_TEST_CASE(gives_move_only_values) {
    await_every_kind<std::unique_ptr<int>>(
        [](Promise<std::unique_ptr<int>>& promise) {
            promise.set_result(std::make_unique<int>(3));
        },
        [](const std::unique_ptr<int>& value) { BOOST_TEST(*value == 3); }
    );
}

BOOST_AUTO_TEST_CASE(gives_values_without_default_constructor) {
    await_every_kind<NoDefault>(
        [](Promise<NoDefault>& promise) { promise.set_result(NoDefault(4)); },
        [](const NoDefault& value) { BOOST_TEST(value.value == 4); }
    );
}

BOOST_AUTO_TEST_CASE(gives_references) {
    int target = 0;
    await_every_kind<int&>(
        [&](Promise<int&>& promise) { promise.set_result(target); },
        [&](int& value) { BOOST_TEST(&value == &target); }
    );
}

BOOST_AUTO_TEST_CASE(waits_for_void) {
    Promise<void> promise;
    bool reached = false;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto future = promise.get_future();
            co_await future;
            co_await promise.get_future();
            reached = true;
        },
        [&] { promise.set_result(); }
    );
    BOOST_TEST(reached);
}

BOOST_AUTO_TEST_CASE(throws_what_the_call_threw) {
    for (const bool before : {true, false}) {
        Promise<int> promise;
        if (before) {
            promise.set_exception(an_error());
        }
        const auto waits = [&]() -> asio::awaitable<void> {
            co_await promise.get_future();
        };
        BOOST_CHECK_THROW(
            run_with(waits, [&] { before ? void() : promise.set_exception(an_error()); }),
            std::runtime_error
        );
    }
}

BOOST_AUTO_TEST_CASE(throws_cancelled_error_if_the_future_is_cancelled) {
    Promise<int> promise;
    const auto waits = [&]() -> asio::awaitable<void> {
        co_await promise.get_future();
    };
    BOOST_CHECK_THROW(run_with(waits, [&] { promise.get_future().cancel(); }), CancelledError);
}

BOOST_AUTO_TEST_CASE(throws_invalid_state_for_an_empty_handle) {
    const auto waits = []() -> asio::awaitable<void> {
        co_await Future<int>();
    };
    BOOST_CHECK_THROW(run(waits), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(of_a_sole_rvalue_moves_once) {
    ObjectCounts counts;
    Promise<Observed> promise;
    run_with(
        [&]() -> asio::awaitable<void> {
            const Observed value = co_await promise.get_future();
            BOOST_TEST(value.value() == 1);
        },
        [&] { promise.set_result(Observed(counts, 1)); }
    );
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.moves == 2);  // into the future and out of it
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(of_an_lvalue_copies_once) {
    ObjectCounts counts;
    Promise<Observed> promise;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto future = promise.get_future();
            const Observed value = co_await future;
            BOOST_TEST(value.value() == 1);
            BOOST_TEST(future.result().value() == 1);
        },
        [&] { promise.set_result(Observed(counts, 1)); }
    );
    BOOST_TEST(counts.copies == 1);
}

BOOST_AUTO_TEST_CASE(resumes_on_the_coroutine_s_executor) {
    asio::io_context context;
    Promise<int> promise;
    bool on_context = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            co_await promise.get_future();
            on_context = context.get_executor().running_in_this_thread();
        },
        asio::detached
    );
    std::thread producer([&] { promise.set_result(1); });
    context.run();
    producer.join();
    BOOST_TEST(on_context);
}

BOOST_AUTO_TEST_CASE(aborted_throws_operation_aborted_and_the_call_goes_on) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<std::unique_ptr<int>> promise;
    const auto future = promise.get_future();
    std::exception_ptr seen;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> { co_await future; },
        asio::bind_cancellation_slot(
            signal.slot(), [&](std::exception_ptr error) { seen = std::move(error); }
        )
    );
    asio::post(context, [&] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    BOOST_CHECK_EXCEPTION(
        std::rethrow_exception(seen),
        boost::system::system_error,
        [](const auto& error) { return error.code() == asio::error::operation_aborted; }
    );
    promise.set_result(std::make_unique<int>(1));
    BOOST_TEST(*future.result() == 1);
}

BOOST_AUTO_TEST_CASE(may_be_the_last_use_of_the_promise_s_owner) {
    // The coroutine's frame owns what ends it: resuming must not need what the frame destroyed.
    auto promise = std::make_unique<Promise<int>>();
    auto future = promise->get_future();
    asio::io_context context;
    asio::co_spawn(
        context,
        [](Future<int> waited, std::unique_ptr<Promise<int>>& owner) -> asio::awaitable<void> {
            co_await std::move(waited);
            owner.reset();
        }(std::move(future), promise),
        asio::detached
    );
    asio::post(context, [&] { promise->set_result(1); });
    context.run();
    BOOST_CHECK(promise == nullptr);
}

BOOST_AUTO_TEST_CASE(frees_the_frame_of_a_coroutine_whose_context_ends_before_it_resumes) {
    ObjectCounts counts;
    Promise<Observed> promise;
    {
        asio::io_context context;
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                const Observed local(counts);
                co_await promise.get_future();
            },
            asio::detached
        );
        context.poll();
        BOOST_TEST(counts.live() == 1);
        promise.set_result(Observed(counts));
    }
    BOOST_TEST(counts.live() == 1);  // the value, which nobody took
    BOOST_TEST(promise.get_future().result().value() == 0);
}

BOOST_AUTO_TEST_CASE(in_many_coroutines_gives_each_the_value) {
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    constexpr int coroutines = 1000;
    int sum = 0;
    for (int i = 0; i < coroutines; ++i) {
        asio::co_spawn(
            context, [&]() -> asio::awaitable<void> { sum += co_await future; }, asio::detached
        );
    }
    asio::post(context, [&] { promise.set_result(2); });
    context.run();
    BOOST_TEST(sum == 2 * coroutines);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(co_await_operations)

BOOST_AUTO_TEST_CASE(async_result_gives_the_value_by_default) {
    Promise<int> promise;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto future = promise.get_future();
            BOOST_TEST(co_await future.async_result() == 5);
            BOOST_TEST(co_await future.async_result(asio::use_awaitable) == 5);
            const auto [error, value] =
                co_await future.async_result(asio::as_tuple(asio::use_awaitable));
            BOOST_CHECK(error == nullptr);
            BOOST_TEST(value == 5);
            co_await future.async_wait();
            const auto [code] = co_await future.async_wait(asio::as_tuple(asio::use_awaitable));
            BOOST_TEST(!code);
        },
        [&] { promise.set_result(5); }
    );
}

BOOST_AUTO_TEST_CASE(as_tuple_gives_the_error_instead_of_throwing) {
    Promise<void> promise;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto [error] =
                co_await promise.get_future().async_result(asio::as_tuple(asio::use_awaitable));
            BOOST_CHECK_THROW(std::rethrow_exception(error), std::runtime_error);
        },
        [&] { promise.set_exception(an_error()); }
    );
}

BOOST_AUTO_TEST_CASE(and_waits_for_both) {
    using namespace asio::experimental::awaitable_operators;
    Promise<int> first;
    Promise<std::string> second;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto [number, text] =
                co_await (first.get_future().async_result() && second.get_future().async_result());
            BOOST_TEST(number == 1);
            BOOST_TEST(text == "two");
        },
        [&] {
            second.set_result("two");
            first.set_result(1);
        }
    );
}

BOOST_AUTO_TEST_CASE(or_waits_for_the_first_and_leaves_the_other_alone) {
    using namespace asio::experimental::awaitable_operators;
    Promise<int> first;
    Promise<std::string> second;
    run_with(
        [&]() -> asio::awaitable<void> {
            const auto winner =
                co_await (first.get_future().async_result() || second.get_future().async_result());
            BOOST_TEST(winner.index() == 1u);
            BOOST_TEST(std::get<1>(winner) == "two");
        },
        [&] { second.set_result("two"); }
    );
    BOOST_TEST(!first.get_future().done());
    first.set_result(1);
    BOOST_TEST(first.get_future().result() == 1);
}

BOOST_AUTO_TEST_CASE(or_on_a_strand_of_a_pool_races_safely) {
    using namespace asio::experimental::awaitable_operators;
    asio::thread_pool pool(2);
    for (int i = 0; i < 200; ++i) {
        Promise<int> first;
        Promise<int> second;
        auto winner = asio::co_spawn(
            asio::make_strand(pool),
            [&]() -> asio::awaitable<int> {
                const auto either = co_await (
                    first.get_future().async_result() || second.get_future().async_result()
                );
                co_return std::visit([](int value) { return value; }, either);
            },
            asio::use_future
        );
        std::thread other([&] { first.set_result(1); });
        second.set_result(2);
        other.join();
        const int value = winner.get();
        BOOST_TEST((value == 1 || value == 2));
    }
    pool.join();
}

BOOST_AUTO_TEST_CASE(in_an_experimental_coro_work_too) {
    using asio::experimental::coro;
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    struct Coro {
        static coro<void(), int> wait_for(asio::io_context&, Future<int> waited) {
            const int value = co_await std::move(waited);
            co_return value;
        }
    };
    auto coroutine = Coro::wait_for(context, future);
    int seen = 0;
    coroutine.async_resume([&](const std::exception_ptr&, int value) { seen = value; });
    asio::post(context, [&] { promise.set_result(9); });
    context.run();
    BOOST_TEST(seen == 9);
}

BOOST_AUTO_TEST_SUITE_END()
