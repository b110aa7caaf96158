#include <cofutures/as_completed.hpp>

#define BOOST_TEST_MODULE async_as_completed
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Futures = std::vector<Future<int>>;
using Next = std::optional<Future<int>>;

struct Several {
    explicit Several(std::size_t count) : promises(count) {
        for (const Promise<int>& promise : promises) {
            futures.push_back(promise.get_future());
        }
    }
    std::vector<Promise<int>> promises;
    Futures futures;
};

bool is_aborted(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& aborted) {
        return aborted.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(async_as_completed)

BOOST_AUTO_TEST_CASE(gives_a_coroutine_each_future_once_in_the_order_of_the_end) {
    asio::io_context context;
    Several several(5);
    several.promises[4].set_result(4);
    several.futures.push_back(several.futures[0]);
    std::vector<int> order;
    bool ended = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            auto completed = cofutures::async_as_completed(several.futures);
            while (auto future = co_await completed.next()) {
                order.push_back(future->result());
            }
            ended = !co_await completed.next();  // the end stays the end
        },
        asio::detached
    );
    context.poll();
    for (const int i : {3, 0, 2}) {
        several.promises[static_cast<std::size_t>(i)].set_result(i);
        context.poll();
    }
    BOOST_TEST(!ended);
    std::thread producer([&] { several.promises[1].set_result(1); });
    context.run();
    producer.join();
    const std::vector<int> expected{4, 3, 0, 2, 1};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(of_nothing_is_empty) {
    asio::io_context context;
    auto completed = cofutures::async_as_completed(Futures());
    auto next = completed.next(asio::bind_executor(context, asio::use_future));
    context.run();
    BOOST_TEST(!next.get().has_value());
}

BOOST_AUTO_TEST_CASE(never_runs_the_handler_inside_the_call) {
    asio::io_context context;
    Several several(1);
    several.futures[0].cancel();
    auto completed = cofutures::async_as_completed(several.futures);
    int calls = 0;
    bool inside = true;
    asio::post(context, [&] {
        completed.next(asio::bind_executor(
            context,
            [&](const std::exception_ptr& error, const Next& next) {
                BOOST_TEST(!inside);
                BOOST_CHECK(error == nullptr);
                BOOST_CHECK((next == several.futures[0]));
                ++calls;
            }
        ));
        inside = false;
    });
    context.run();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(works_with_as_tuple_and_deferred) {
    asio::io_context context;
    Several several(2);
    several.promises[0].set_result(1);
    several.promises[1].set_result(2);
    auto completed = cofutures::async_as_completed(several.futures);
    int sum = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            auto [error, next] = co_await completed.next(asio::as_tuple(asio::use_awaitable));
            BOOST_CHECK(error == nullptr);
            sum += next->result();
            auto deferred = completed.next(asio::deferred);
            sum += (co_await std::move(deferred)(asio::use_awaitable))->result();
        },
        asio::detached
    );
    context.run();
    BOOST_TEST(sum == 3);
}

#ifndef COFUTURES_NO_AWAIT_SPECIALIZATION
BOOST_AUTO_TEST_CASE(can_be_awaited_deferred) {
    asio::io_context context;
    Several several(1);
    several.promises[0].set_result(1);
    auto completed = cofutures::async_as_completed(several.futures);
    int value = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            value = (co_await completed.next(asio::deferred))->result();
        },
        asio::detached
    );
    context.run();
    BOOST_TEST(value == 1);
}
#endif

BOOST_AUTO_TEST_CASE(takes_mixed_types) {
    asio::io_context context;
    Promise<int> number;
    Promise<std::string> text;
    text.set_result("text");
    auto completed = cofutures::async_as_completed({number.get_future(), text.get_future()});
    auto next = completed.next(asio::bind_executor(context, asio::use_future));
    context.run();
    BOOST_CHECK((next.get() == AnyFuture(text.get_future())));
}

BOOST_AUTO_TEST_CASE(keeps_nothing_of_what_it_gave) {
    asio::io_context context;
    ObjectCounts counts;
    Promise<Observed> promise;
    Promise<Observed> other;
    std::vector<Future<Observed>> futures{promise.get_future(), other.get_future()};
    auto completed = cofutures::async_as_completed(std::move(futures));
    promise.set_result(Observed(counts));
    promise = Promise<Observed>();
    BOOST_TEST(counts.live() == 1);
    completed.next(asio::bind_executor(
        context, [](const std::exception_ptr&, std::optional<Future<Observed>>) {}
    ));
    context.run();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(refuses_a_second_operation_at_a_time) {
    asio::io_context context;
    Several several(2);
    auto completed = cofutures::async_as_completed(several.futures);
    int calls = 0;
    const auto handler = [&](const std::exception_ptr&, const Next&) {
        ++calls;
    };
    completed.next(asio::bind_executor(context, handler));
    BOOST_CHECK_THROW(completed.next(asio::bind_executor(context, handler)), InvalidStateError);
    several.promises[0].set_result(1);
    several.promises[1].set_result(1);
    context.run();
    BOOST_TEST(calls == 1);
    context.restart();
    completed.next(asio::bind_executor(context, handler));
    context.run();
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(handler_that_was_dropped_lets_the_next_be_awaited) {
    Several several(1);
    auto completed = cofutures::async_as_completed(several.futures);
    const auto handler = [](const std::exception_ptr&, const Next&) {
    };
    {
        asio::io_context gone;
        completed.next(asio::bind_executor(gone, handler));
        several.promises[0].set_result(1);
    }
    asio::io_context context;
    auto next = completed.next(asio::bind_executor(context, asio::use_future));
    context.run();
    BOOST_CHECK((next.get() == several.futures[0]));
}

BOOST_AUTO_TEST_CASE(aborted_operation_takes_no_future) {
    asio::io_context context;
    asio::cancellation_signal signal;
    ObjectCounts counts;
    Several several(1);
    auto completed = cofutures::async_as_completed(several.futures);
    constexpr int rounds = 100;
    int aborted = 0;
    for (int i = 0; i < rounds; ++i) {
        completed.next(asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(
                context,
                [&, part = Observed(counts)](const std::exception_ptr& error, const Next& next) {
                    aborted += is_aborted(error) && !next ? 1 : 0;
                }
            )
        ));
        signal.emit(asio::cancellation_type::total);
        signal.emit(asio::cancellation_type::total);
        BOOST_TEST(aborted == i);
        context.run();
        context.restart();
    }
    BOOST_TEST(aborted == rounds);
    BOOST_TEST(counts.live() == 0);
    auto next = completed.next(asio::bind_executor(context, asio::use_future));
    several.promises[0].set_result(3);
    context.run();
    BOOST_CHECK((next.get() == several.futures[0]));
}

BOOST_AUTO_TEST_CASE(races_with_a_timer) {
    using namespace asio::experimental::awaitable_operators;
    asio::io_context context;
    Several several(1);
    bool timed_out = false;
    int value = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            auto completed = cofutures::async_as_completed(several.futures);
            asio::steady_timer timer(context, 1ms);
            const auto winner =
                co_await (completed.next() || timer.async_wait(asio::use_awaitable));
            timed_out = winner.index() == 1;
            several.promises[0].set_result(5);
            value = (co_await completed.next())->result();
        },
        asio::detached
    );
    context.run();
    BOOST_TEST(timed_out);
    BOOST_TEST(value == 5);
}

BOOST_AUTO_TEST_CASE(operation_outlives_the_object) {
    asio::io_context context;
    Several several(2);
    std::optional completed(cofutures::async_as_completed(several.futures));
    auto next = completed->next(asio::bind_executor(context, asio::use_future));
    completed.reset();
    several.promises[1].set_result(1);
    context.run();
    BOOST_CHECK((next.get() == several.futures[1]));
}

BOOST_AUTO_TEST_CASE(destroyed_early_leaves_the_rest_alone) {
    ObjectCounts counts;
    Promise<Observed> promise;
    for (int i = 0; i < 100; ++i) {
        static_cast<void>(cofutures::async_as_completed(std::vector<Future<Observed>>{
            promise.get_future()}));
    }
    promise.set_result(Observed(counts));
    promise = Promise<Observed>();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(refuses_an_empty_handle) {
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::async_as_completed(Futures(1))), InvalidStateError
    );
}

BOOST_AUTO_TEST_SUITE_END()
