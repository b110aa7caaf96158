#include <cofutures/cancel_on_abort.hpp>

#define BOOST_TEST_MODULE cancel_on_abort
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::Gate;
using cofutures::test::holds;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheck;
using cofutures::test::NoDefault;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;
using cofutures::test::run;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

static_assert(asio::is_async_operation<CancelOnAbort<int>>::value);

BOOST_AUTO_TEST_SUITE(cancel_on_abort)

BOOST_AUTO_TEST_CASE(gives_what_the_future_gives) {
    int target = 0;
    Promise<std::string> text;
    Promise<void> nothing;
    Promise<int&> reference;
    Promise<std::unique_ptr<int>> moved;
    Promise<NoDefault> no_default;
    asio::io_context context;
    asio::post(context, [&] {
        text.set_result("text");
        nothing.set_result();
        reference.set_result(target);
        moved.set_result(std::make_unique<int>(2));
        no_default.set_result(NoDefault(3));
    });
    run(context, [&]() -> asio::awaitable<void> {
        auto operation = cofutures::cancel_on_abort(text.get_future());
        BOOST_TEST(co_await operation == "text");
        BOOST_TEST(co_await std::as_const(operation) == "text");
        BOOST_TEST(co_await operation.async_result() == "text");
        BOOST_TEST(co_await operation(asio::use_awaitable) == "text");
        BOOST_TEST(co_await operation.async_result(asio::deferred) == "text");
        co_await operation.async_wait();
        const auto [error, value] =
            co_await std::move(operation).async_result(asio::as_tuple(asio::use_awaitable));
        BOOST_TEST(value == "text");
        co_await cofutures::cancel_on_abort(nothing.get_future());
        int& same = co_await cofutures::cancel_on_abort(reference.get_future());
        BOOST_TEST(&same == &target);
        const auto pointer = co_await cofutures::cancel_on_abort(moved.get_future());
        BOOST_TEST(*pointer == 2);
        const NoDefault plain = co_await cofutures::cancel_on_abort(no_default.get_future());
        BOOST_TEST(plain.value == 3);
    });
}

BOOST_AUTO_TEST_CASE(cancels_what_has_not_begun) {
    for (const auto type :
         {asio::cancellation_type::terminal,
          asio::cancellation_type::partial,
          asio::cancellation_type::total}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        ObjectCounts counts;
        Promise<int> promise;
        const auto future = promise.get_future();
        std::exception_ptr seen;
        cofutures::cancel_on_abort(future)(asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(
                context,
                [&, part = Observed(counts)](std::exception_ptr error, int) {
                    BOOST_TEST(future.cancelled());
                    seen = std::move(error);
                }
            )
        ));
        signal.emit(type);
        BOOST_TEST(future.cancelled());
        BOOST_CHECK(seen == nullptr);  // not inside the emission
        signal.emit(type);             // too late: nothing happens
        context.run();
        BOOST_TEST(is_aborted(seen));  // and not that the call was cancelled
        BOOST_TEST(counts.live() == 0);
    }
}

BOOST_AUTO_TEST_CASE(asks_what_has_begun_to_stop) {
    asio::io_context context;
    asio::cancellation_signal signal;
    ThreadPoolExecutor pool(1);
    Gate begun;
    Gate stopped;
    const auto future = pool.submit([&](const std::stop_token& token) {
        const std::stop_callback tell(token, [&] { stopped.open(); });
        begun.open();
        stopped.wait();
        return 7;
    });
    begun.wait();
    error_code seen;
    cofutures::cancel_on_abort(future).async_wait(asio::bind_cancellation_slot(
        signal.slot(), asio::bind_executor(context, [&](error_code error) { seen = error; })
    ));
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    BOOST_TEST(seen == asio::error::operation_aborted);
    BOOST_TEST(future.result() == 7);  // it was asked, and ended as it liked
}

BOOST_AUTO_TEST_CASE(leaves_the_call_alone_when_nothing_is_cancelled) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<int> promise;
    int seen = 0;
    cofutures::cancel_on_abort(promise.get_future())(asio::bind_cancellation_slot(
        signal.slot(),
        asio::bind_executor(context, [&](const std::exception_ptr&, int value) { seen = value; })
    ));
    signal.emit(asio::cancellation_type::none);
    promise.set_result(8);
    signal.emit(asio::cancellation_type::all);
    context.run();
    BOOST_TEST(seen == 8);
}

BOOST_AUTO_TEST_CASE(gives_way_to_a_timer) {
    using namespace asio::experimental::awaitable_operators;
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    run(context, [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(context, 1ms);
        const auto winner = co_await (
            cofutures::cancel_on_abort(future)(asio::use_awaitable) ||
            timer.async_wait(asio::use_awaitable)
        );
        BOOST_TEST(winner.index() == 1u);
    });
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(awaited_alone_hears_of_the_coroutine_s_cancellation) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<int> promise;
    const auto future = promise.get_future();
    std::exception_ptr seen;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> { co_await cofutures::cancel_on_abort(future); },
        asio::bind_cancellation_slot(
            signal.slot(), [&](std::exception_ptr error) { seen = std::move(error); }
        )
    );
    asio::post(context, [&] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    BOOST_TEST(is_aborted(seen));
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(callbacks_of_the_cancelled_call_may_end_the_signal_s_owner) {
    asio::io_context context;
    auto signal = std::make_unique<asio::cancellation_signal>();
    Promise<int> promise;
    std::exception_ptr seen;
    cofutures::cancel_on_abort(promise.get_future())(asio::bind_cancellation_slot(
        signal->slot(),
        asio::bind_executor(
            context, [&](std::exception_ptr error, int) { seen = std::move(error); }
        )
    ));
    promise.get_future().add_done_callback([&] { signal->slot().clear(); });
    signal->emit(asio::cancellation_type::terminal);
    context.run();
    BOOST_TEST(is_aborted(seen));
}

BOOST_AUTO_TEST_CASE(refuses_an_empty_handle) {
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::cancel_on_abort(Future<int>())), InvalidStateError
    );
}

BOOST_AUTO_TEST_SUITE_END()
