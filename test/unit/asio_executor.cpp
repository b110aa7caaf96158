#include <cofutures/asio_executor.hpp>

#include <cofutures/error.hpp>

#define BOOST_TEST_MODULE asio_executor
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::Naturals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

template <class Range>
int sum_of(Range&& range) {
    int sum = 0;
    for (const int value : range) {
        sum += value;
    }
    return sum;
}

}  // namespace

// --- an executor ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(asio_executor)

BOOST_AUTO_TEST_CASE(runs_on_every_kind_of_executor) {
    asio::thread_pool threads(2);
    const auto gives_42 = [](const auto& on) {
        AsioExecutor executor(on);
        return executor.submit(twice, 21).result() == 42;
    };
    BOOST_TEST(gives_42(threads.get_executor()));
    BOOST_TEST(gives_42(asio::make_strand(threads)));
    BOOST_TEST(gives_42(asio::any_io_executor(threads.get_executor())));
    BOOST_TEST(gives_42(asio::thread_pool::executor_type(threads.get_executor())));
}

BOOST_AUTO_TEST_CASE(runs_on_the_thread_that_runs_the_context) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    const auto where = executor.submit([] { return std::this_thread::get_id(); });
    BOOST_TEST(!where.done());
    context.run();
    BOOST_TEST((where.result() == std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(context_does_not_run_out_of_work_before_the_calls) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    int calls = 0;
    for (int i = 0; i < 3; ++i) {
        executor.submit([&calls] { ++calls; });
    }
    BOOST_TEST(context.run() == 3U);
    BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_CASE(pending_call_can_be_cancelled) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    auto future = executor.submit([] { BOOST_ERROR("it was cancelled"); });
    BOOST_TEST(future.cancel());
    context.run();
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(destroyed_context_breaks_pending_futures) {
    auto context = std::make_unique<asio::io_context>();
    AsioExecutor executor(context->get_executor());
    const auto first = executor.submit(twice, 1);
    const auto second = executor.submit(twice, 2);
    context.reset();
    BOOST_CHECK_THROW(first.result(), BrokenExecutor);
    BOOST_CHECK_THROW(second.result(), BrokenExecutor);
}

BOOST_AUTO_TEST_CASE(stopped_thread_pool_breaks_pending_futures) {
    std::optional<AsioExecutor> executor;
    Future<int> future;
    Gate begun;
    Gate release;
    {
        asio::thread_pool threads(1);
        executor.emplace(threads.get_executor());
        executor->submit([&] {
            begun.open();
            release.wait();
        });
        future = executor->submit(twice, 1);
        begun.wait();
        threads.stop();
        release.open();
    }
    BOOST_CHECK_THROW(future.result(), BrokenExecutor);
}

BOOST_AUTO_TEST_CASE(submit_after_shutdown_throws) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    executor.shutdown();
    executor.shutdown();
    BOOST_CHECK_THROW(executor.submit(twice, 1), ShutdownError);
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_what_was_submitted) {
    asio::thread_pool threads(2);
    AsioExecutor executor(threads.get_executor());
    std::atomic<int> calls{0};
    for (int i = 0; i < 100; ++i) {
        executor.submit([&calls] { ++calls; });
    }
    executor.shutdown();
    BOOST_TEST(calls == 100);
}

BOOST_AUTO_TEST_CASE(shutdown_can_cancel_what_has_not_begun) {
    asio::io_context context;  // nobody runs it
    AsioExecutor executor(context.get_executor());
    const auto future = executor.submit(twice, 1);
    executor.shutdown(true, true);
    BOOST_TEST(future.cancelled());
    context.run();
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_sets_a_waiting_shutdown_free) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    executor.submit(twice, 1);
    std::jthread waits([&executor] { executor.shutdown(true); });
    executor.shutdown(false, true);
}

BOOST_AUTO_TEST_CASE(shutdown_that_waits_for_itself_throws) {
    asio::thread_pool threads(1);
    const auto deadlocks = [](const auto& on) {
        AsioExecutor executor(on);
        const auto error = executor.submit([&executor] { executor.shutdown(true); }).exception();
        try {
            std::rethrow_exception(error);
        } catch (const DeadlockError&) {
            return true;
        }
    };
    BOOST_TEST(deadlocks(threads.get_executor()));
    BOOST_TEST(deadlocks(asio::make_strand(threads)));
    BOOST_TEST(deadlocks(asio::any_io_executor(threads.get_executor())));
}

BOOST_AUTO_TEST_CASE(shutdown_in_a_foreign_handler_of_the_context_throws) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    bool thrown = false;
    asio::post(context, [&] {
        try {
            executor.shutdown(true);
        } catch (const DeadlockError&) {
            thrown = true;
        }
    });
    executor.submit(twice, 1);
    asio::post(context, [&] { executor.shutdown(true); });  // nothing is left to wait for
    context.run();
    BOOST_TEST(thrown);
}

BOOST_AUTO_TEST_CASE(destroying_it_inside_its_own_call_does_not_wait) {
    asio::thread_pool threads(1);
    auto executor = std::make_shared<AsioExecutor>(threads.get_executor());
    Gate handed_over;
    auto last = executor->submit([&, held = executor]() mutable {
        handed_over.wait();
        held.reset();
    });
    const auto later = executor->submit(twice, 1);
    executor.reset();
    handed_over.open();
    BOOST_CHECK_NO_THROW(last.result());
    BOOST_TEST(later.result() == 2);
}

// --- maps on it ----------------------------------------------------------------------------------

// --- counting and ending ------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(counts_its_tasks) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    const auto good = executor.submit([&] { BOOST_TEST(executor.stats().running == 1U); });
    const auto bad = executor.submit([] { throw 1; });
    auto cancelled = executor.submit([] {});
    BOOST_TEST(executor.stats().queued == 3U);
    BOOST_TEST(cancelled.cancel());
    BOOST_TEST(executor.stats().queued == 2U);
    context.run();
    const ExecutorStats expected{
        .submitted = 3,
        .completed = 1,
        .failed = 1,
        .cancelled = 1,
    };
    BOOST_TEST((executor.stats() == expected));
}

BOOST_AUTO_TEST_CASE(tasks_that_the_context_dropped_are_counted_as_failed) {
    std::optional<asio::io_context> context(std::in_place);
    AsioExecutor executor(context->get_executor());
    const auto lost = executor.submit([] {});
    context.reset();
    BOOST_CHECK_THROW(lost.result(), BrokenExecutor);
    BOOST_TEST(executor.stats().failed == 1U);
    BOOST_TEST(executor.stats().queued == 0U);
}

BOOST_AUTO_TEST_CASE(shutdown_for_says_whether_all_work_ended_in_time) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    const auto pending = executor.submit([] {});
    BOOST_TEST(!executor.shutdown_for(std::chrono::milliseconds(1)));
    context.run();
    BOOST_TEST(executor.shutdown_for(std::chrono::seconds(0)));
    BOOST_TEST(pending.done());
}

BOOST_AUTO_TEST_CASE(async_shutdown_works_on_the_only_thread_of_the_context) {
    asio::io_context context;
    std::optional<AsioExecutor> executor(std::in_place, context.get_executor());
    const auto pending = executor->submit([] {});
    bool ended = false;
    executor->async_shutdown(asio::bind_executor(context, [&](boost::system::error_code error) {
        ended = !error && pending.done();
        executor.reset();
    }));
    context.run();
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(maps_on_an_io_context_that_one_thread_runs) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    auto range = executor.map(twice, std::vector<int>{1, 2, 3});
    auto unordered = executor.map_unordered(twice, std::vector<int>{1, 2, 3});
    context.run();
    BOOST_TEST(sum_of(range) == 12);
    BOOST_TEST(sum_of(unordered) == 12);
}

BOOST_AUTO_TEST_CASE(map_read_inside_the_context_does_not_hang) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    auto sum = executor.submit([&executor] {
        return sum_of(executor.map(twice, std::vector<int>(1000, 1)));
    });
    context.run();
    BOOST_TEST(sum.result() == 2000);
}

BOOST_AUTO_TEST_CASE(items_on_a_strand_never_overlap) {
    asio::thread_pool threads(3);
    AsioExecutor executor(asio::make_strand(threads));
    int plain = 0;
    auto range =
        executor.map([&plain](int value) { return plain += value; }, std::vector<int>(1000, 1));
    executor.shutdown();
    BOOST_TEST(plain == 1000);
    BOOST_TEST(sum_of(range) == 1000 * 1001 / 2);
}

BOOST_AUTO_TEST_CASE(destroyed_context_breaks_a_map) {
    auto context = std::make_unique<asio::io_context>();
    AsioExecutor executor(context->get_executor());
    auto range = executor.map(twice, std::vector<int>{1, 2});
    context.reset();
    BOOST_CHECK_THROW(range.next(), BrokenExecutor);
    BOOST_CHECK_THROW(range.next(), BrokenExecutor);
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(other_handlers_get_their_turn_during_a_map) {
    asio::io_context context;
    AsioExecutor executor(context.get_executor());
    std::atomic<bool> other_ran = false;
    auto range = executor.map([&other_ran](int) { return other_ran.load(); }, Naturals(3'000'000));
    asio::post(context, [&] { other_ran = true; });
    context.run();
    bool last = false;
    while (const auto value = range.next()) {
        last = *value;
    }
    BOOST_TEST(last);
}

BOOST_AUTO_TEST_SUITE_END()

// --- without an executor -------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(free_submit)

BOOST_AUTO_TEST_CASE(runs_the_call_on_the_executor) {
    asio::io_context context;
    auto number = submit(context.get_executor(), twice, 4);
    auto text = submit(
        asio::make_strand(context),
        [](std::unique_ptr<int> p) { return *p; },
        std::make_unique<int>(5)
    );
    auto nothing = submit(context.get_executor(), [] {});
    static_assert(std::is_same_v<decltype(nothing), Future<void>>);
    context.run();
    BOOST_TEST(number.result() == 8);
    BOOST_TEST(text.result() == 5);
    BOOST_TEST(nothing.done());
}

BOOST_AUTO_TEST_CASE(exception_goes_to_the_future) {
    asio::io_context context;
    auto future = submit(context.get_executor(), [] { throw std::domain_error("x"); });
    context.run();
    BOOST_CHECK_THROW(future.result(), std::domain_error);
}

BOOST_AUTO_TEST_CASE(dropped_call_breaks_its_future) {
    Future<int> future;
    {
        asio::io_context context;
        future = submit(context.get_executor(), twice, 1);
    }
    BOOST_CHECK_THROW(future.result(), BrokenExecutor);
}

BOOST_AUTO_TEST_CASE(call_may_take_a_stop_token) {
    asio::io_context context;
    auto future = submit(context.get_executor(), [](std::stop_token token) {
        return token.stop_requested();
    });
    BOOST_TEST(future.request_stop());
    context.run();
    BOOST_TEST(future.result());
}

BOOST_AUTO_TEST_SUITE_END()
