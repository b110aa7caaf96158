#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE async_result
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheckWithoutSystemThreads);

BOOST_AUTO_TEST_SUITE(async_result)

BOOST_AUTO_TEST_CASE(gives_the_value_or_the_error) {
    asio::io_context context;
    Promise<std::string> good;
    Promise<std::string> bad;
    Promise<std::string> never;
    int calls = 0;
    good.get_future().async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr& error, const std::string& value) {
            BOOST_CHECK(error == nullptr);
            BOOST_TEST(value == "value");
            ++calls;
        }
    ));
    bad.get_future().async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr& error, const std::string& value) {
            BOOST_CHECK_THROW(std::rethrow_exception(error), std::runtime_error);
            BOOST_TEST(value.empty());
            ++calls;
        }
    ));
    never.get_future().async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr& error, const std::string&) {
            BOOST_CHECK_THROW(std::rethrow_exception(error), CancelledError);
            ++calls;
        }
    ));
    good.set_result("value");
    bad.set_exception(an_error());
    never.get_future().cancel();
    context.run();
    BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_CASE(gives_optional_and_reference_where_a_value_must_be_made_from_nothing) {
    asio::io_context context;
    int target = 3;
    Promise<NoDefault> no_default;
    Promise<int&> reference;
    Promise<void> nothing;
    int calls = 0;
    no_default.get_future().async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr& error, std::optional<NoDefault> value) {
            BOOST_CHECK(error == nullptr);
            BOOST_TEST(value.value().value == 2);
            ++calls;
        }
    ));
    reference.get_future().async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr& error, Reference<int> value) {
            BOOST_CHECK(error == nullptr);
            BOOST_TEST(&value.get() == &target);
            int& converted = value;
            BOOST_TEST(&converted == &target);
            ++calls;
        }
    ));
    nothing.get_future()
        .async_result(asio::bind_executor(context, [&](const std::exception_ptr& error) {
            BOOST_CHECK(error == nullptr);
            ++calls;
        }));
    no_default.set_result(NoDefault(2));
    reference.set_result(target);
    nothing.set_result();
    context.run();
    BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_CASE(of_a_sole_rvalue_handle_never_copies) {
    asio::io_context context;
    ObjectCounts counts;
    Promise<Observed> promise;
    auto future = promise.get_future();
    int seen = 0;
    std::move(future).async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr&, std::optional<Observed> value) {
            seen = value.value().value();
        }
    ));
    BOOST_TEST(!future.valid());
    promise.set_result(Observed(counts, 5));
    context.run();
    BOOST_TEST(seen == 5);
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(of_an_lvalue_handle_copies_once_and_keeps_the_value) {
    asio::io_context context;
    ObjectCounts counts;
    Promise<Observed> promise;
    const auto future = promise.get_future();
    int seen = 0;
    future.async_result(asio::bind_executor(
        context,
        [&](const std::exception_ptr&, std::optional<Observed> value) {
            seen = value.value().value();
        }
    ));
    promise.set_result(Observed(counts, 5));
    context.run();
    BOOST_TEST(seen == 5);
    BOOST_TEST(counts.copies == 1);
    BOOST_TEST(future.result().value() == 5);
}

BOOST_AUTO_TEST_CASE(of_a_move_only_value_moves_it) {
    asio::io_context context;
    Promise<std::unique_ptr<int>> promise;
    const auto future = promise.get_future();
    int seen = 0;
    future.async_result(asio::bind_executor(
        context, [&](const std::exception_ptr&, std::unique_ptr<int> value) { seen = *value; }
    ));
    promise.set_result(std::make_unique<int>(6));
    context.run();
    BOOST_TEST(seen == 6);
    BOOST_CHECK_THROW(future.result(), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(turns_a_copy_that_throws_into_the_error) {
    struct Fragile {
        Fragile() = default;
        Fragile(const Fragile&) { throw std::runtime_error("copy"); }
        Fragile(Fragile&&) = default;
    };
    asio::io_context context;
    Promise<Fragile> promise;
    const auto future = promise.get_future();
    bool failed = false;
    future.async_result(asio::bind_executor(
        context, [&](const std::exception_ptr& error, const Fragile&) { failed = error != nullptr; }
    ));
    promise.set_result(Fragile());
    context.run();
    BOOST_TEST(failed);
}

BOOST_AUTO_TEST_CASE(aborted_gives_a_system_error_and_the_value_stays) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<std::unique_ptr<int>> promise;
    const auto future = promise.get_future();
    bool aborted = false;
    future.async_result(asio::bind_cancellation_slot(
        signal.slot(),
        asio::bind_executor(
            context,
            [&](const std::exception_ptr& error, std::unique_ptr<int> value) {
                aborted = is_aborted(error);
                BOOST_CHECK(value == nullptr);
            }
        )
    ));
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    BOOST_TEST(aborted);
    promise.set_result(std::make_unique<int>(7));
    BOOST_TEST(*future.result() == 7);
}

BOOST_AUTO_TEST_CASE(is_what_calling_the_future_does) {
    asio::io_context context;
    Promise<int> promise;
    auto future = promise.get_future();
    int sum = 0;
    const auto add = [&](const std::exception_ptr&, int value) {
        sum += value;
    };
    future(asio::bind_executor(context, add));
    std::as_const(future)(asio::bind_executor(context, add));
    std::move(future)(asio::bind_executor(context, add));
    promise.set_result(2);
    context.run();
    BOOST_TEST(sum == 6);
}

BOOST_AUTO_TEST_CASE(works_with_use_future) {
    Promise<int> promise;
    Promise<void> failing;
    std::future<int> value = promise.get_future().async_result(asio::use_future);
    std::future<void> nothing = failing.get_future().async_result(asio::use_future);
    promise.set_result(8);
    failing.set_exception(an_error());
    BOOST_TEST(value.get() == 8);
    BOOST_CHECK_THROW(nothing.get(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(takes_memory_from_the_handler_and_gives_it_back_before_the_handler_runs) {
    for (const int how : {0, 1, 2}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        Promise<int> promise;
        AllocationCounts counts;
        int live_in_handler = -1;
        if (how == 0) {
            promise.set_result(1);
        }
        promise.get_future().async_result(asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_allocator(
                CountingAllocator<void>(counts),
                asio::bind_executor(
                    context, [&](const std::exception_ptr&, int) { live_in_handler = counts.live; }
                )
            )
        ));
        BOOST_TEST(counts.live == 1);
        if (how == 1) {
            promise.set_result(1);
        } else if (how == 2) {
            signal.emit(asio::cancellation_type::terminal);
        }
        context.run();
        BOOST_TEST(live_in_handler == 0);
        BOOST_TEST(counts.live == 0);
    }
}

BOOST_AUTO_TEST_CASE(runs_on_a_strand_of_a_pool) {
    asio::thread_pool pool(2);
    auto strand = asio::make_strand(pool);
    Promise<int> promise;
    Gate gate;
    promise.get_future()
        .async_result(asio::bind_executor(strand, [&](const std::exception_ptr&, int) {
            BOOST_TEST(strand.running_in_this_thread());
            gate.open();
        }));
    promise.set_result(1);
    gate.wait();
    pool.join();
}

BOOST_AUTO_TEST_CASE(of_several_futures_forms_a_parallel_group) {
    asio::io_context context;
    Promise<int> first;
    Promise<std::string> second;
    bool called = false;
    asio::experimental::make_parallel_group(
        [future = first.get_future()](auto token) { return future(token); },
        [future = second.get_future()](auto token) { return future(token); }
    )
        .async_wait(
            asio::experimental::wait_for_one(),
            asio::bind_executor(
                context,
                [&](std::array<std::size_t, 2> order,
                    const std::exception_ptr& first_error,
                    int,
                    const std::exception_ptr& second_error,
                    const std::string& text) {
                    BOOST_TEST(order[0] == 1u);
                    BOOST_TEST(is_aborted(first_error));
                    BOOST_CHECK(second_error == nullptr);
                    BOOST_TEST(text == "second");
                    called = true;
                }
            )
        );
    second.set_result("second");
    context.run();
    BOOST_TEST(called);
    BOOST_TEST(!first.get_future().done());
}

BOOST_AUTO_TEST_SUITE_END()
