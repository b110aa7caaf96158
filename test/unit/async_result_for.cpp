#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE async_result_for
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::AllocationCounts;
using cofutures::test::an_error;
using cofutures::test::CountingAllocator;
using cofutures::test::Gate;
using cofutures::test::holds;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheckWithoutSystemThreads;
using cofutures::test::NoDefault;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;
using cofutures::test::run;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheckWithoutSystemThreads);

namespace {

// An executor without a context, which can only run things in place.
struct InlineExecutor {
    bool operator==(const InlineExecutor&) const noexcept = default;
    template <class Fn>
    void execute(Fn&& fn) const {
        std::decay_t<Fn>(std::forward<Fn>(fn))();
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(async_result_for)

BOOST_AUTO_TEST_CASE(gives_what_is_there_in_time) {
    int target = 0;
    Promise<std::string> text;
    Promise<void> nothing;
    Promise<int&> reference;
    Promise<NoDefault> no_default;
    Promise<int> failing;
    asio::io_context context;
    asio::post(context, [&] {
        text.set_result("text");
        nothing.set_result();
        reference.set_result(target);
        no_default.set_result(NoDefault(3));
        failing.set_exception(an_error());
    });
    run(context, [&]() -> asio::awaitable<void> {
        BOOST_TEST(co_await text.get_future().async_result_for(1h) == "text");
        co_await nothing.get_future().async_result_for(1h);
        int& same = co_await reference.get_future().async_result_for(1h);
        BOOST_TEST(&same == &target);
        BOOST_TEST((co_await no_default.get_future().async_result_for(1h))->value == 3);
        co_await failing.get_future().async_wait_for(1h);
        bool thrown = false;
        try {
            co_await failing.get_future().async_result_for(1h);
        } catch (const std::runtime_error&) {
            thrown = true;
        }
        BOOST_TEST(thrown);
    });
}

BOOST_AUTO_TEST_CASE(throws_timeout_error_and_the_call_goes_on) {
    Promise<std::unique_ptr<int>> promise;
    const auto future = promise.get_future();
    const auto waits = [&]() -> asio::awaitable<void> {
        co_await future.async_result_for(1ms);
    };
    BOOST_CHECK_THROW(run(waits), TimeoutError);
    BOOST_TEST(!future.done());
    promise.set_result(std::make_unique<int>(1));
    BOOST_TEST(*future.result() == 1);  // nobody took it
}

BOOST_AUTO_TEST_CASE(timeout_of_a_wait_is_an_error_code) {
    asio::io_context context;
    Promise<int> promise;
    error_code seen;
    promise.get_future().async_wait_for(1ms, asio::bind_executor(context, [&](error_code error) {
                                            seen = error;
                                        }));
    context.run();
    BOOST_TEST(seen == asio::error::timed_out);
}

BOOST_AUTO_TEST_CASE(zero_or_less_asks_whether_it_is_done) {
    Promise<int> promise;
    const auto future = promise.get_future();
    run([&]() -> asio::awaitable<void> {
        for (const auto timeout : {0ms, -1ms}) {
            bool timed_out = false;
            try {
                co_await future.async_result_for(timeout);
            } catch (const TimeoutError&) {
                timed_out = true;
            }
            BOOST_TEST(timed_out);
        }
        promise.set_result(2);
        BOOST_TEST(co_await future.async_result_for(0s) == 2);
        BOOST_TEST(co_await future.async_result_for(-1h) == 2);
    });
}

BOOST_AUTO_TEST_CASE(endless_timeout_never_passes) {
    asio::io_context context;
    Promise<int> promise;
    int seen = 0;
    promise.get_future().async_result_for(
        std::chrono::hours::max(),
        asio::bind_executor(context, [&](const std::exception_ptr&, int value) { seen = value; })
    );
    context.poll();
    promise.set_result(3);
    context.run();
    BOOST_TEST(seen == 3);
}

BOOST_AUTO_TEST_CASE(leaves_no_timer_behind) {
    asio::io_context context;
    Promise<int> promise;
    const auto start = std::chrono::steady_clock::now();
    promise.get_future().async_result_for(
        1h, asio::bind_executor(context, [](const std::exception_ptr&, int) {})
    );
    std::thread producer([&] { promise.set_result(1); });
    context.run();  // returns although the hour has not passed
    producer.join();
    BOOST_TEST((std::chrono::steady_clock::now() - start < 30min));
}

BOOST_AUTO_TEST_CASE(leaves_nothing_in_the_future) {
    ObjectCounts counts;
    Promise<int> promise;
    for (int i = 0; i < 100; ++i) {
        asio::io_context context;
        promise.get_future().async_wait_for(
            0s, asio::bind_executor(context, [part = Observed(counts)](error_code) {})
        );
        context.run();
        BOOST_TEST(counts.live() == 0);
    }
    promise.set_result(1);
}

BOOST_AUTO_TEST_CASE(gives_memory_back_before_the_handler_runs) {
    for (const int how : {0, 1, 2, 3}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        AllocationCounts counts;
        Promise<int> promise;
        int live_in_handler = -1;
        if (how == 0) {
            promise.set_result(1);
        }
        promise.get_future().async_result_for(
            how == 3 ? 1ms : 1000h,
            asio::bind_cancellation_slot(
                signal.slot(),
                asio::bind_allocator(
                    CountingAllocator<void>(counts),
                    asio::bind_executor(
                        context,
                        [&](const std::exception_ptr&, int) { live_in_handler = counts.live; }
                    )
                )
            )
        );
        BOOST_TEST(counts.live > 0);
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

BOOST_AUTO_TEST_CASE(can_be_cancelled) {
    for (const auto type :
         {asio::cancellation_type::terminal,
          asio::cancellation_type::partial,
          asio::cancellation_type::total}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        Promise<int> promise;
        std::exception_ptr seen;
        promise.get_future().async_result_for(
            1h,
            asio::bind_cancellation_slot(
                signal.slot(),
                asio::bind_executor(
                    context, [&](std::exception_ptr error, int) { seen = std::move(error); }
                )
            )
        );
        signal.emit(type);
        signal.emit(type);
        BOOST_CHECK(seen == nullptr);
        context.run();
        BOOST_TEST(is_aborted(seen));
        promise.set_result(1);
        signal.emit(type);
    }
}

BOOST_AUTO_TEST_CASE(that_has_ended_is_not_touched_by_a_late_cancellation) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Promise<int> promise;
    int calls = 0;
    promise.get_future().async_wait_for(
        0s,
        asio::bind_cancellation_slot(
            signal.slot(), asio::bind_executor(context, [&](error_code) { ++calls; })
        )
    );
    context.run();
    signal.emit(asio::cancellation_type::terminal);  // the future is not done, the operation gone
    context.restart();
    context.run();
    BOOST_TEST(calls == 1);
    promise.set_result(1);
}

BOOST_AUTO_TEST_CASE(runs_the_timer_where_the_handler_runs) {
    asio::thread_pool threads(2);
    const asio::any_io_executor strand = asio::make_strand(threads);
    const auto inner = *strand.target<asio::strand<asio::thread_pool::executor_type>>();
    Promise<int> promise;
    Gate gate;
    promise.get_future().async_result_for(
        1ms,
        asio::bind_executor(
            strand,
            [&](const std::exception_ptr& error, int) {
                BOOST_TEST(holds<TimeoutError>(error));
                BOOST_TEST(inner.running_in_this_thread());
                gate.open();
            }
        )
    );
    gate.wait();
    threads.join();
}

BOOST_AUTO_TEST_CASE(works_without_an_executor_and_on_one_without_timers) {
    Promise<int> promise;
    Gate system;
    Gate in_place;
    promise.get_future().async_result_for(1ms, [&](const std::exception_ptr& error, int) {
        BOOST_TEST(holds<TimeoutError>(error));
        system.open();
    });
    system.wait();  // the other one may be told on another thread, and checks are for one at a time
    promise.get_future()
        .async_wait_for(1ms, asio::bind_executor(InlineExecutor(), [&](error_code error) {
                            BOOST_TEST(error == asio::error::timed_out);
                            in_place.open();
                        }));
    in_place.wait();
}

BOOST_AUTO_TEST_CASE(context_that_ends_first_takes_the_wait_with_it) {
    ObjectCounts counts;
    Promise<int> promise;
    {
        asio::io_context context;
        promise.get_future().async_result_for(
            1h,
            asio::bind_executor(
                context, [part = Observed(counts)](const std::exception_ptr&, int) {}
            )
        );
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
    promise.set_result(1);  // and the future knows nothing of it
}

BOOST_AUTO_TEST_CASE(combines_with_other_operations) {
    using namespace asio::experimental::awaitable_operators;
    Promise<int> never;
    Promise<int> soon;
    soon.set_result(1);
    run([&]() -> asio::awaitable<void> {
        const auto winner = co_await (
            never.get_future().async_result_for(1h) || soon.get_future().async_result_for(1h)
        );
        BOOST_TEST(winner.index() == 1u);
    });
    BOOST_TEST(!never.get_future().done());
}

BOOST_AUTO_TEST_CASE(of_an_empty_handle_throws) {
    BOOST_CHECK_THROW(
        Future<int>().async_result_for(1s, [](const std::exception_ptr&, int) {}), InvalidStateError
    );
    BOOST_CHECK_THROW(Future<int>().async_wait_for(1s, [](error_code) {}), InvalidStateError);
}

BOOST_AUTO_TEST_SUITE_END()
