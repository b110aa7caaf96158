#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE every_asio_executor
#include <boost/test/unit_test.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/io_context_strand.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <chrono>
#include <exception>

// All that takes an Asio executor takes every one that there is, and keeps a context from running
// out of work.

namespace asio = boost::asio;
using namespace cofutures;
using cofutures::test::eventually;
using cofutures::test::generous;

namespace {

/// As little as an executor may be.
struct InPlace {
    template <class Fn>
    void execute(Fn fn) const {
        fn();
    }
    bool operator==(const InPlace&) const noexcept = default;
};

/// One whose context is nothing of Asio's.
struct OfAnotherContext : InPlace {
    struct Context {};
    [[nodiscard]] Context query(asio::execution::context_t /*unused*/) const noexcept { return {}; }
    bool operator==(const OfAnotherContext&) const noexcept = default;
};

/// Has everything done there that can be; `run` returns when the executor has no work left.
template <class AsioExecutor, class Run>
void check_all_on(const AsioExecutor& executor, Run run) {
    using std::chrono::hours;
    Promise<int> one;
    const Future<int> future = one.get_future();
    std::atomic<int> callbacks{0};
    std::atomic<int> handlers{0};
    const auto count = [&](const std::exception_ptr& /*error*/, int /*value*/) {
        ++handlers;
    };
    const auto thrown = future.then(executor, [](int value) -> int { throw value; });
    const auto caught =
        thrown.or_else(executor, [](const std::exception_ptr& /*error*/) { return 3; });
    future.add_done_callback(executor, [&] { ++callbacks; });
    future.async_result(asio::bind_executor(executor, count));
    future.async_result_for(hours(1), asio::bind_executor(executor, count));
    const auto posted = submit(executor, [] { return 4; });
    cofutures::AsioExecutor on_top(executor);
    const auto submitted = on_top.submit([] { return 5; });
    on_top.shutdown(false);
    one.set_result(1);
    run();
    BOOST_TEST(caught.result() == 3);
    BOOST_TEST(posted.result() == 4);
    BOOST_TEST(submitted.result() == 5);
    // Without a context handlers go over a thread of the system's executor.
    BOOST_TEST(eventually([&] { return callbacks == 1 && handlers == 2; }));
}

/// Checks that a context has work as long as what `start` does with a future waits for that.
template <class Start>
void check_is_kept(asio::io_context& context, Start start) {
    Promise<int> one;
    start(one.get_future());
    context.restart();
    context.poll();
    BOOST_TEST(!context.stopped());
    one.set_result(1);
    context.run();
}

/// All of it where a context runs what is done there.
template <class MakeExecutor>
void check_on_context(MakeExecutor make_executor) {
    asio::io_context context;
    const auto executor = make_executor(context);
    check_all_on(executor, [&] { context.run(); });
    check_is_kept(context, [&](const Future<int>& future) { future.then(executor, [](int) {}); });
    check_is_kept(context, [&](const Future<int>& future) {
        future.add_done_callback(executor, [] {});
    });
    check_is_kept(context, [&](const Future<int>& future) {
        future.async_wait(asio::bind_executor(executor, [](const auto&) {}));
    });
}

void nothing() {}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_every_asio_executor)

BOOST_AUTO_TEST_CASE(a_contexts_own) {
    check_on_context([](asio::io_context& context) { return context.get_executor(); });
}

BOOST_AUTO_TEST_CASE(any_executor) {
    check_on_context([](asio::io_context& context) {
        return asio::any_io_executor(context.get_executor());
    });
}

BOOST_AUTO_TEST_CASE(a_strand) {
    check_on_context([](asio::io_context& context) { return asio::make_strand(context); });
}

BOOST_AUTO_TEST_CASE(a_strand_of_any_executor) {
    check_on_context([](asio::io_context& context) {
        return asio::make_strand(asio::any_io_executor(context.get_executor()));
    });
}

BOOST_AUTO_TEST_CASE(any_executor_that_is_a_strand) {
    check_on_context([](asio::io_context& context) {
        return asio::any_io_executor(asio::make_strand(context));
    });
}

BOOST_AUTO_TEST_CASE(one_of_the_old_kind) {
    check_on_context([](asio::io_context& context) { return asio::io_context::strand(context); });
}

BOOST_AUTO_TEST_CASE(one_without_a_context) {
    check_all_on(InPlace(), nothing);
}

BOOST_AUTO_TEST_CASE(one_with_a_context_of_its_own) {
    check_all_on(OfAnotherContext(), nothing);
}

// A wait that would need the waiting thread, which the executor says by its context: see
// thread/wait_for_handler.cpp.
BOOST_AUTO_TEST_CASE(one_of_the_old_kind_says_that_it_is_a_pools) {
    Promise<int> one;
    one.set_result(1);
    ThreadPoolExecutor pool(1);
    const auto waiter = pool.submit([&] {
        const asio::executor executor(pool.get_executor());
        return one.get_future().then(executor, [](int value) { return value; }).result();
    });
    BOOST_CHECK_THROW(waiter.result(generous), DeadlockError);
}

BOOST_AUTO_TEST_SUITE_END()
