#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE async_wait
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/system_executor.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using boost::system::error_code;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheckWithoutSystemThreads);

namespace {

// An executor that drops what it is given.
struct DroppingExecutor {
    bool operator==(const DroppingExecutor&) const noexcept = default;
    template <class Fn>
    void execute(Fn&& /*fn*/) const {}
};

// An executor that can only run things in place.
struct InlineExecutor {
    bool operator==(const InlineExecutor&) const noexcept = default;
    template <class Fn>
    void execute(Fn&& fn) const {
        std::decay_t<Fn>(std::forward<Fn>(fn))();
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(async_wait)

BOOST_AUTO_TEST_CASE(tells_of_the_end_whatever_it_is) {
    for (const int how : {0, 1, 2, 3}) {
        asio::io_context context;
        Promise<int> promise;
        const auto future = promise.get_future();
        int calls = 0;
        future.async_wait(asio::bind_executor(context, [&](error_code error) {
            BOOST_TEST(!error);
            BOOST_TEST(future.done());
            ++calls;
        }));
        switch (how) {
        case 0:
            promise.set_result(1);
            break;
        case 1:
            promise.set_exception(an_error());
            break;
        case 2:
            future.cancel();
            break;
        default:
            promise = Promise<int>();
        }
        BOOST_TEST(calls == 0);
        context.run();
        BOOST_TEST(calls == 1);
    }
}

BOOST_AUTO_TEST_CASE(never_consumes_the_value) {
    asio::io_context context;
    ObjectCounts counts;
    Promise<Observed> promise;
    const auto future = promise.get_future();
    future.async_wait(asio::bind_executor(context, [](error_code) {}));
    promise.set_result(Observed(counts, 3));
    context.run();
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.moves == 1);
    BOOST_TEST(future.result().value() == 3);
}

BOOST_AUTO_TEST_CASE(handler_never_runs_inside_the_call) {
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    promise.set_result(1);
    bool inside = true;
    bool called = false;
    asio::post(context, [&] {
        // On the handler's own executor, where a dispatch would run it in place.
        future.async_wait(asio::bind_executor(context, [&](error_code) {
            BOOST_TEST(!inside);
            called = true;
        }));
        inside = false;
    });
    context.run();
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(plain_handler_runs_though_it_has_no_executor) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Gate early;
    Gate late;
    future.async_wait([&](error_code) { early.open(); });
    promise.set_result(1);
    early.wait();
    const std::thread::id here = std::this_thread::get_id();
    std::thread::id there;
    future.async_wait([&](error_code) {
        there = std::this_thread::get_id();
        late.open();
    });
    late.wait();
    BOOST_TEST((there != here));  // were it here, it would be inside the call
}

BOOST_AUTO_TEST_CASE(keeps_the_executor_from_running_out_of_work) {
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    bool called = false;
    future.async_wait(asio::bind_executor(context, [&](error_code) { called = true; }));
    std::thread producer([&] { promise.set_result(1); });
    context.run();
    BOOST_TEST(called);
    producer.join();
}

BOOST_AUTO_TEST_CASE(handlers_run_in_the_order_added_after_callbacks) {
    asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    std::vector<int> order;
    future.async_wait(asio::bind_executor(context, [&](error_code) { order.push_back(2); }));
    future.add_done_callback([&] { order.push_back(1); });
    future.async_wait(asio::bind_executor(context, [&](error_code) { order.push_back(3); }));
    promise.set_result(1);
    context.run();
    const std::vector<int> expected{1, 2, 3};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(handler_error_comes_out_of_run) {
    asio::io_context context;
    Promise<int> promise;
    promise.get_future().async_wait(asio::bind_executor(context, [](error_code) {
        throw std::out_of_range("handler");
    }));
    promise.set_result(1);
    BOOST_CHECK_THROW(context.run(), std::out_of_range);
}

BOOST_AUTO_TEST_CASE(can_be_deferred_and_started_twice) {
    asio::io_context context;
    Promise<int> promise;
    auto operation = promise.get_future().async_wait(asio::deferred);
    promise.set_result(1);
    int calls = 0;
    operation(asio::bind_executor(context, [&](error_code) { ++calls; }));
    operation(asio::bind_executor(context, [&](error_code) { ++calls; }));
    context.run();
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(executor_that_drops_the_handler_frees_it) {
    ObjectCounts counts;
    Promise<int> promise;
    const auto future = promise.get_future();
    future.async_wait(
        asio::bind_executor(DroppingExecutor(), [part = Observed(counts)](error_code) {})
    );
    BOOST_TEST(counts.live() == 1);
    promise.set_result(1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(handler_is_freed_when_its_context_ends_before_it_ran) {
    ObjectCounts counts;
    Promise<int> promise;
    {
        asio::io_context context;
        promise.get_future().async_wait(
            asio::bind_executor(context, [part = Observed(counts)](error_code) {})
        );
        promise.set_result(1);
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(executor_that_can_only_run_in_place_does_not_run_inside_the_call) {
    Promise<int> promise;
    promise.set_result(1);
    Gate gate;
    const std::thread::id here = std::this_thread::get_id();
    std::thread::id there;
    promise.get_future().async_wait(asio::bind_executor(InlineExecutor(), [&](error_code) {
        there = std::this_thread::get_id();
        gate.open();
    }));
    gate.wait();
    BOOST_TEST((there != here));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cancellation)

BOOST_AUTO_TEST_CASE(of_each_type_aborts_and_leaves_the_future_alone) {
    for (const auto type :
         {asio::cancellation_type::terminal,
          asio::cancellation_type::partial,
          asio::cancellation_type::total,
          asio::cancellation_type::all}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        ObjectCounts counts;
        Promise<int> promise;
        const auto future = promise.get_future();
        std::vector<error_code> seen;
        future.async_wait(asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(
                context, [&, part = Observed(counts)](error_code error) { seen.push_back(error); }
            )
        ));
        signal.emit(type);
        BOOST_TEST(seen.empty());  // not inside the emission
        signal.emit(type);         // too late: nothing happens
        context.run();
        BOOST_TEST(seen.size() == 1u);
        BOOST_TEST(seen.at(0) == asio::error::operation_aborted);
        BOOST_TEST(counts.live() == 0);
        BOOST_TEST(!future.done());
        promise.set_result(1);
        BOOST_TEST(future.result() == 1);
        BOOST_TEST(seen.size() == 1u);
    }
}

BOOST_AUTO_TEST_CASE(of_no_type_is_ignored) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<int> promise;
    error_code seen = asio::error::fault;
    promise.get_future().async_wait(asio::bind_cancellation_slot(
        signal.slot(), asio::bind_executor(context, [&](error_code error) { seen = error; })
    ));
    signal.emit(asio::cancellation_type::none);
    promise.set_result(1);
    signal.emit(asio::cancellation_type::all);  // the future is done: too late
    context.run();
    BOOST_TEST(!seen);
}

BOOST_AUTO_TEST_CASE(inside_the_emission_is_not_completed_even_on_its_own_executor) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<int> promise;
    bool inside = false;
    bool called = false;
    promise.get_future().async_wait(asio::bind_cancellation_slot(
        signal.slot(),
        asio::bind_executor(
            context,
            [&](error_code) {
                BOOST_TEST(!inside);
                called = true;
            }
        )
    ));
    asio::post(context, [&] {
        inside = true;
        signal.emit(asio::cancellation_type::terminal);
        inside = false;
    });
    context.run();
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(many_aborted_waits_leave_nothing_behind) {
    asio::io_context context;
    ObjectCounts counts;
    Promise<int> promise;
    auto future = promise.get_future();
    constexpr int rounds = 1000;
    int aborted = 0;
    asio::cancellation_signal signal;
    for (int i = 0; i < rounds; ++i) {
        future.async_wait(asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(context, [&, part = Observed(counts)](error_code) { ++aborted; })
        ));
        signal.emit(asio::cancellation_type::total);
        context.run();
        context.restart();
    }
    BOOST_TEST(aborted == rounds);
    BOOST_TEST(counts.live() == 0);
    promise.set_result(1);
    BOOST_TEST(aborted == rounds);
}

BOOST_AUTO_TEST_CASE(of_one_of_several_waits_spares_the_others) {
    asio::io_context context;
    std::array<asio::cancellation_signal, 3> signals;
    std::array<std::optional<error_code>, 3> seen;
    Promise<int> promise;
    for (std::size_t i = 0; i < signals.size(); ++i) {
        promise.get_future().async_wait(asio::bind_cancellation_slot(
            signals[i].slot(),
            asio::bind_executor(context, [&seen, i](error_code error) { seen[i] = error; })
        ));
    }
    signals[1].emit(asio::cancellation_type::terminal);
    promise.set_result(1);
    context.run();
    BOOST_TEST(!seen[0].value());
    BOOST_TEST(seen[1].value() == asio::error::operation_aborted);
    BOOST_TEST(!seen[2].value());
}

BOOST_AUTO_TEST_SUITE_END()
