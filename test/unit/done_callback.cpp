#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE done_callback
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace cofutures;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::vector<std::string> reported;

// An executor that drops what it is given.
struct DroppingExecutor {
    bool operator==(const DroppingExecutor&) const noexcept = default;
    DroppingExecutor require(boost::asio::execution::blocking_t::never_t) const { return {}; }
    template <class Fn>
    void execute(const Fn& /*fn*/) const {}
};

// One that takes nothing.
struct FullExecutor {
    bool operator==(const FullExecutor&) const noexcept = default;
    FullExecutor require(boost::asio::execution::blocking_t::never_t) const { return {}; }
    template <class Fn>
    void execute(const Fn& /*fn*/) const {
        throw std::length_error("no room");
    }
};

void record(std::exception_ptr error) noexcept {
    try {
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& exception) {
        reported.emplace_back(exception.what());
    } catch (...) {
        reported.emplace_back("unknown");
    }
}

// Errors of callbacks are recorded instead of printed.
struct Recording {
    Recording() {
        reported.clear();
        previous = set_callback_error_handler(&record);
    }
    ~Recording() { set_callback_error_handler(previous); }
    void (*previous)(std::exception_ptr) noexcept;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(done_callbacks, Recording)

BOOST_AUTO_TEST_CASE(run_in_the_order_added_each_once) {
    Promise<int> promise;
    const auto future = promise.get_future();
    std::vector<int> order;
    const auto again = [&] {
        order.push_back(0);
    };
    for (int i = 1; i <= 3; ++i) {
        future.add_done_callback([&order, i](const Future<int>&) { order.push_back(i); });
        future.add_done_callback(again);
    }
    promise.set_result(1);
    const std::vector<int> expected{1, 0, 2, 0, 3, 0};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(get_an_equal_future_in_its_final_state) {
    Promise<int> promise;
    const auto future = promise.get_future();
    int calls = 0;
    future.add_done_callback([&](const Future<int>& done) {
        ++calls;
        BOOST_CHECK(done == future);
        BOOST_TEST(done.done());
        BOOST_TEST(done.result(std::chrono::seconds(0)) == 1);
        BOOST_TEST(!done.cancel());
        BOOST_TEST(done.wait());
    });
    promise.set_result(1);
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(run_on_the_thread_that_ends_the_future_or_adds_them) {
    Promise<int> promise;
    const auto future = promise.get_future();
    std::thread::id where;
    future.add_done_callback([&] { where = std::this_thread::get_id(); });
    std::thread producer([&] { promise.set_result(1); });
    const std::thread::id producer_id = producer.get_id();
    producer.join();
    BOOST_TEST((where == producer_id));
    future.add_done_callback([&] { where = std::this_thread::get_id(); });
    BOOST_TEST((where == std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(of_cancel_run_before_it_returns_and_only_once) {
    Promise<int> promise;
    const auto future = promise.get_future();
    int calls = 0;
    future.add_done_callback([&](const Future<int>& done) {
        ++calls;
        BOOST_TEST(done.cancelled());
        BOOST_TEST(done.cancel());
    });
    BOOST_TEST(future.cancel());
    BOOST_TEST(calls == 1);
    future.cancel();
    promise.set_running_or_notify_cancel();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(added_inside_one_run_at_once) {
    Promise<int> promise;
    const auto future = promise.get_future();
    std::vector<int> order;
    future.add_done_callback([&](const Future<int>& done) {
        order.push_back(1);
        done.add_done_callback([&] { order.push_back(2); });
        order.push_back(3);
    });
    future.add_done_callback([&] { order.push_back(4); });
    promise.set_result(1);
    const std::vector<int> expected{1, 2, 3, 4};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(that_throw_are_reported_and_the_next_one_runs) {
    Promise<int> promise;
    const auto future = promise.get_future();
    bool called = false;
    future.add_done_callback([] { throw std::runtime_error("first"); });
    future.add_done_callback([] { throw 3; });
    future.add_done_callback([&] { called = true; });
    BOOST_CHECK_NO_THROW(promise.set_result(1));
    BOOST_TEST(called);
    BOOST_CHECK_NO_THROW(future.add_done_callback([] { throw std::runtime_error("late"); }));
    const std::vector<std::string> expected{"first", "unknown", "late"};
    BOOST_TEST(reported == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(may_keep_the_future) {
    ObjectCounts counts;
    Promise<int> promise;
    Future<Observed> kept;
    promise.get_future().then([&](int value) { return Observed(counts, value); }
    ).add_done_callback([&](const Future<Observed>& done) { kept = done; });
    promise.set_result(4);
    BOOST_TEST(kept.result().value() == 4);
    kept = {};
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(may_call_everything_without_deadlock) {
    boost::asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    int seen = 0;
    future.add_done_callback([&](const Future<int>& done) {
        const auto chained = done.then([](int value) { return value + 1; });
        seen = chained.result();
        done.async_wait(boost::asio::bind_executor(context, [](boost::system::error_code) {}));
        BOOST_TEST(!done.request_stop());
        BOOST_CHECK_THROW(promise.set_result(2), InvalidStateError);
    });
    promise.set_result(1);
    BOOST_TEST(seen == 2);
}

BOOST_AUTO_TEST_CASE(do_not_hold_up_those_added_elsewhere_meanwhile) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Gate inside;
    Gate added;
    future.add_done_callback([&] {
        inside.open();
        added.wait();
    });
    std::thread producer([&] { promise.set_result(1); });
    inside.wait();
    BOOST_TEST(future.result() == 1);
    bool called = false;
    future.add_done_callback([&] { called = true; });
    BOOST_TEST(called);
    added.open();
    producer.join();
}

BOOST_AUTO_TEST_CASE(take_move_only_functions) {
    Promise<int> promise;
    int seen = 0;
    promise.get_future().add_done_callback([owned = std::make_unique<int>(5), &seen] {
        seen = *owned;
    });
    promise.set_result(1);
    BOOST_TEST(seen == 5);
}

BOOST_AUTO_TEST_CASE(on_an_executor_run_there_and_keep_it_working) {
    boost::asio::io_context context;
    Promise<int> promise;
    const auto future = promise.get_future();
    int calls = 0;
    future.add_done_callback(context.get_executor(), [&](const Future<int>& done) {
        BOOST_CHECK(done == future);
        BOOST_TEST(context.get_executor().running_in_this_thread());
        ++calls;
    });
    future.add_done_callback(context.get_executor(), [] { throw std::runtime_error("posted"); });
    std::thread producer([&] { promise.set_result(1); });
    context.run();
    producer.join();
    BOOST_TEST(calls == 1);
    BOOST_TEST(reported.size() == 1u);

    context.restart();
    future.add_done_callback(context.get_executor(), [&] { ++calls; });
    BOOST_TEST(calls == 1);
    context.run();
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(on_an_executor_that_drops_them_are_freed) {
    ObjectCounts counts;
    Promise<int> promise;
    const auto future = promise.get_future();
    future.add_done_callback(DroppingExecutor(), [part = Observed(counts)] {
        BOOST_ERROR("the executor drops it");
    });
    BOOST_TEST(counts.live() == 1);
    promise.set_result(1);
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(future.result() == 1);
}

BOOST_AUTO_TEST_CASE(on_a_context_that_ends_before_they_ran_are_freed) {
    ObjectCounts counts;
    Promise<Observed> promise;
    {
        boost::asio::io_context context;
        promise.get_future().add_done_callback(context.get_executor(), [part = Observed(counts)] {
            BOOST_ERROR("nobody runs the context");
        });
        promise.set_result(Observed(counts));
        promise = Promise<Observed>();
        BOOST_TEST(counts.live() == 2);  // the posted callback holds the value by its future
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(on_an_executor_that_throws_are_reported) {
    Promise<int> promise;
    const auto future = promise.get_future();
    reported.clear();
    int calls = 0;
    future.add_done_callback(FullExecutor(), [] {});
    future.add_done_callback([&] { ++calls; });
    promise.set_result(1);
    BOOST_TEST(reported == std::vector<std::string>{"no room"}, boost::test_tools::per_element());
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(errors_go_to_the_installed_handler_and_null_restores_the_default) {
    const auto mine = set_callback_error_handler(nullptr);
    BOOST_CHECK(mine == &record);
    const auto standard = set_callback_error_handler(&record);
    BOOST_CHECK(standard == previous);
}

BOOST_AUTO_TEST_SUITE_END()
