#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE wait
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
#include <iterator>
#include <list>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

bool is_aborted(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& aborted) {
        return aborted.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

// Several promises and their futures.
struct Several {
    explicit Several(std::size_t count) : promises(count) {
        for (const Promise<int>& promise : promises) {
            futures.push_back(promise.get_future());
        }
    }
    std::vector<Promise<int>> promises;
    std::vector<Future<int>> futures;
};

using Futures = std::vector<Future<int>>;

// A range that can be read once, as a generator.
class ReadOnce {
public:
    explicit ReadOnce(Futures futures) : futures_(std::move(futures)) {}

    struct Iterator {
        using iterator_concept = std::input_iterator_tag;
        using value_type = Future<int>;
        using difference_type = std::ptrdiff_t;

        Future<int> operator*() const { return std::move(range->futures_[range->next_]); }
        Iterator& operator++() {
            ++range->next_;
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.at_end(); }
        [[nodiscard]] bool at_end() const { return range->next_ == range->futures_.size(); }
        ReadOnce* range = nullptr;
    };

    Iterator begin() { return Iterator{this}; }
    std::default_sentinel_t end() const { return {}; }

private:
    Futures futures_;
    std::size_t next_ = 0;
};

constexpr std::initializer_list<ReturnWhen> all_conditions{
    FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED};

}  // namespace

BOOST_AUTO_TEST_SUITE(wait)

BOOST_AUTO_TEST_CASE(of_nothing_returns_at_once) {
    for (const ReturnWhen when : all_conditions) {
        const auto found = cofutures::wait(Futures(), when);
        BOOST_TEST(found.done.empty());
        BOOST_TEST(found.not_done.empty());
    }
}

BOOST_AUTO_TEST_CASE(gives_input_order_and_merges_duplicates) {
    Several several(4);
    several.promises[2].set_result(2);
    several.promises[0].set_result(0);
    Futures twice = several.futures;
    twice.insert(twice.end(), several.futures.rbegin(), several.futures.rend());
    const auto [done, not_done] = cofutures::wait(twice, 0s);
    BOOST_CHECK((done == Futures{several.futures[0], several.futures[2]}));
    BOOST_CHECK((not_done == Futures{several.futures[1], several.futures[3]}));
}

BOOST_AUTO_TEST_CASE(merges_duplicates_among_many) {
    Several several(1000);
    Futures many;
    for (int i = 0; i < 5; ++i) {
        many.insert(many.end(), several.futures.begin(), several.futures.end());
    }
    const auto found = cofutures::wait(many, 0s);
    BOOST_CHECK((found.not_done == several.futures));
}

BOOST_AUTO_TEST_CASE(cancelled_is_done_at_once) {
    Several several(2);
    several.futures[1].cancel();
    const auto [done, not_done] = cofutures::wait(several.futures, FIRST_COMPLETED);
    BOOST_CHECK((done == Futures{several.futures[1]}));
    BOOST_CHECK((not_done == Futures{several.futures[0]}));
    several.futures[0].cancel();
    BOOST_TEST(cofutures::wait(several.futures).done.size() == 2u);
}

BOOST_AUTO_TEST_CASE(first_exception_returns_for_what_raised_not_for_what_was_cancelled) {
    Several several(3);
    several.futures[0].cancel();
    BOOST_TEST(cofutures::wait(several.futures, 0s, FIRST_EXCEPTION).not_done.size() == 2u);
    std::thread producer([&] { several.promises[1].set_exception(an_error()); });
    const auto found = cofutures::wait(several.futures, FIRST_EXCEPTION);
    producer.join();
    BOOST_CHECK((found.not_done == Futures{several.futures[2]}));
}

BOOST_AUTO_TEST_CASE(first_exception_returns_when_all_are_done_and_none_raised) {
    Several several(3);
    std::thread producer([&] {
        several.promises[0].set_result(1);
        several.futures[1].cancel();
        several.promises[2].set_result(1);
    });
    BOOST_TEST(cofutures::wait(several.futures, FIRST_EXCEPTION).done.size() == 3u);
    producer.join();
}

BOOST_AUTO_TEST_CASE(sets_the_thread_free_in_each_mode) {
    for (const ReturnWhen when : all_conditions) {
        Several several(50);
        std::thread producer([&] {
            for (Promise<int>& promise : several.promises) {
                promise.set_result(1);
            }
        });
        const auto found = cofutures::wait(several.futures, generous, when);
        BOOST_TEST(!found.done.empty());
        BOOST_TEST((when == FIRST_COMPLETED || found.not_done.empty()));
        producer.join();
    }
}

BOOST_AUTO_TEST_CASE(sets_the_thread_free_before_callbacks_run) {
    Several several(2);
    Gate waited;
    several.futures[1].add_done_callback([&] { waited.wait(); });
    std::thread producer([&] { several.promises[1].set_result(1); });
    BOOST_TEST(cofutures::wait(several.futures, generous, FIRST_COMPLETED).done.size() == 1u);
    waited.open();
    producer.join();
}

BOOST_AUTO_TEST_CASE(out_of_time_is_no_error) {
    Several several(2);
    for (const auto timeout : {-1h, 0h}) {
        BOOST_TEST(cofutures::wait(several.futures, timeout).not_done.size() == 2u);
    }
    several.promises[0].set_result(1);
    const auto before = std::chrono::steady_clock::now();
    const auto [done, not_done] = cofutures::wait(several.futures, 20ms);
    BOOST_CHECK(std::chrono::steady_clock::now() - before >= 20ms);
    BOOST_CHECK((done == Futures{several.futures[0]}));
    BOOST_CHECK((not_done == Futures{several.futures[1]}));
}

BOOST_AUTO_TEST_CASE(longest_timeout_means_none) {
    Several several(1);
    std::thread producer([&] { several.promises[0].set_result(1); });
    const auto found = cofutures::wait(several.futures, std::chrono::hours::max());
    BOOST_TEST(found.done.size() == 1u);
    producer.join();
}

BOOST_AUTO_TEST_CASE(that_ran_out_of_time_leaves_nothing_behind) {
    ObjectCounts counts;
    {
        Promise<Observed> ended;
        const Promise<Observed> other;
        for (int i = 0; i < 1000; ++i) {
            const std::vector futures{ended.get_future(), other.get_future()};
            BOOST_TEST_REQUIRE(cofutures::wait(futures, 1ns).not_done.size() == 2u);
        }
        ended.set_result(Observed(counts));
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(inside_a_callback_sees_what_this_thread_has_put_off) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Futures chained;
    bool waited = false;
    future.add_done_callback([&] { waited = cofutures::wait(chained).not_done.empty(); });
    for (int i = 0; i < 3; ++i) {
        chained.push_back(future.then([](int value) { return value; }
        ).then([](int value) { return value; }));
    }
    promise.set_result(1);
    BOOST_TEST(waited);
}

BOOST_AUTO_TEST_CASE(takes_any_range) {
    Several several(3);
    for (Promise<int>& promise : several.promises) {
        promise.set_result(1);
    }
    const Futures& futures = several.futures;
    const auto all_done = [&](const auto& found) {
        return found.done == futures && found.not_done.empty();
    };
    BOOST_CHECK(all_done(cofutures::wait(futures)));
    BOOST_CHECK(all_done(cofutures::wait(Futures(futures))));
    BOOST_CHECK(all_done(cofutures::wait(std::span(futures))));
    BOOST_CHECK(all_done(cofutures::wait(std::list(futures.begin(), futures.end()))));
    BOOST_CHECK(all_done(cofutures::wait({futures[0], futures[1], futures[2]})));
    BOOST_CHECK(all_done(cofutures::wait({futures[0], futures[1], futures[2]}, 1s)));
    BOOST_CHECK(all_done(cofutures::wait(ReadOnce(futures))));
    BOOST_CHECK(all_done(cofutures::wait(ReadOnce(futures), 1s, FIRST_EXCEPTION)));
    ReadOnce once(futures);
    BOOST_CHECK(all_done(cofutures::wait(once)));
    BOOST_CHECK(
        (cofutures::wait(std::unordered_set(futures.begin(), futures.end())).done.size() == 3)
    );
}

BOOST_AUTO_TEST_CASE(takes_handles_only_from_a_container_that_is_given_away) {
    Several several(2);
    Futures copy = several.futures;
    static_cast<void>(cofutures::wait(copy, 0s));
    static_cast<void>(cofutures::wait(std::span(copy), 0s));
    BOOST_CHECK((copy == several.futures));
    const auto found = cofutures::wait(std::move(copy), 0s);
    BOOST_CHECK((found.not_done == several.futures));
    BOOST_TEST(!copy[0].valid());  // NOLINT(bugprone-use-after-move)
}

// clang before 16 cannot compile libstdc++'s views.
#if !defined(__clang__) || __clang_major__ >= 16
BOOST_AUTO_TEST_CASE(takes_views) {
    Several several(3);
    const auto picked = std::views::iota(std::size_t{0}, several.futures.size()) |
                        std::views::transform([&](std::size_t i) { return several.futures[i]; });
    BOOST_CHECK((cofutures::wait(picked, 0s).not_done == several.futures));
    BOOST_CHECK(
        (cofutures::wait(several.futures | std::views::drop(1), 0s).not_done ==
         Futures{several.futures[1], several.futures[2]})
    );
    BOOST_TEST(several.futures[1].valid());
}
#endif

BOOST_AUTO_TEST_CASE(takes_mixed_types_in_braces_and_as_any_future) {
    Promise<int> number;
    Promise<std::string> text;
    const auto a = number.get_future();
    const auto b = text.get_future();
    text.set_result("done");
    const auto [done, not_done] = cofutures::wait({a, b}, FIRST_COMPLETED);
    BOOST_TEST_REQUIRE(done.size() == 1u);
    BOOST_CHECK(done[0] == b);
    BOOST_CHECK(not_done[0] == a);
    const std::vector<AnyFuture> any{a, b, a};
    BOOST_TEST(cofutures::wait(any, 0s).not_done.size() == 1u);
}

BOOST_AUTO_TEST_CASE(refuses_an_empty_handle_and_an_unknown_condition) {
    Several several(2);
    several.futures.emplace_back();
    BOOST_CHECK_THROW(cofutures::wait(several.futures), InvalidStateError);
    BOOST_CHECK_THROW(cofutures::wait(std::vector<AnyFuture>(1)), InvalidStateError);
    BOOST_CHECK_THROW(
        cofutures::wait(Futures(), static_cast<ReturnWhen>(7)), std::invalid_argument
    );
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(async_wait)

BOOST_AUTO_TEST_CASE(gives_both_parts_and_never_runs_the_handler_inside_the_call) {
    asio::io_context context;
    Several several(3);
    several.futures[0].cancel();
    int calls = 0;
    bool inside = true;
    asio::post(context, [&] {
        cofutures::async_wait(
            several.futures,
            FIRST_COMPLETED,
            asio::bind_executor(
                context,
                [&](const std::exception_ptr& error, const DoneAndNotDone<int>& found) {
                    BOOST_TEST(!inside);
                    BOOST_CHECK(error == nullptr);
                    BOOST_CHECK((found.done == Futures{several.futures[0]}));
                    BOOST_TEST(found.not_done.size() == 2u);
                    ++calls;
                }
            )
        );
        inside = false;
    });
    context.run();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(keeps_the_executor_from_running_out_of_work) {
    asio::io_context context;
    Several several(3);
    bool called = false;
    cofutures::async_wait(
        several.futures,
        ALL_COMPLETED,
        asio::bind_executor(
            context,
            [&](const std::exception_ptr& error, const DoneAndNotDone<int>& found) {
                called = error == nullptr && found.not_done.empty();
            }
        )
    );
    std::thread producer([&] {
        for (Promise<int>& promise : several.promises) {
            promise.set_result(1);
        }
    });
    context.run();
    BOOST_TEST(called);
    producer.join();
}

BOOST_AUTO_TEST_CASE(of_nothing_completes) {
    asio::io_context context;
    int calls = 0;
    cofutures::async_wait(
        Futures(),
        FIRST_COMPLETED,
        asio::bind_executor(
            context,
            [&](const std::exception_ptr& error, const DoneAndNotDone<int>&) {
                calls += error == nullptr ? 1 : 0;
            }
        )
    );
    context.run();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(works_with_awaitable_as_tuple_use_future_and_deferred) {
    asio::io_context context;
    Several several(2);
    const auto& futures = several.futures;
    bool finished = false;
    const auto coroutine = [&]() -> asio::awaitable<void> {
        const auto first = co_await cofutures::async_wait(futures, FIRST_COMPLETED);
        BOOST_TEST(first.done.size() == 1u);
        auto [error, all] = co_await cofutures::async_wait(
            futures, ALL_COMPLETED, asio::as_tuple(asio::use_awaitable)
        );
        BOOST_CHECK(error == nullptr);
        BOOST_TEST(all.done.size() == 2u);
        finished = true;
    };
    asio::co_spawn(context, coroutine, asio::detached);
    auto future = cofutures::async_wait(
        futures, ALL_COMPLETED, asio::bind_executor(context, asio::use_future)
    );
    auto deferred = cofutures::async_wait(futures, ALL_COMPLETED, asio::deferred);
    int calls = 0;
    for (int i = 0; i < 2; ++i) {
        deferred(asio::bind_executor(
            context, [&](const std::exception_ptr&, const DoneAndNotDone<int>&) { ++calls; }
        ));
    }
    context.poll();
    several.promises[0].set_result(1);
    context.poll();
    BOOST_TEST(calls == 0);
    several.promises[1].set_exception(an_error());
    context.run();
    BOOST_TEST(finished);
    BOOST_TEST(calls == 2);
    BOOST_TEST(future.get().done.size() == 2u);
}

#ifndef COFUTURES_NO_AWAIT_SPECIALIZATION
BOOST_AUTO_TEST_CASE(can_be_awaited_deferred) {
    asio::io_context context;
    Several several(1);
    several.promises[0].set_result(1);
    std::size_t done = 0;
    const auto coroutine = [&]() -> asio::awaitable<void> {
        const auto found =
            co_await cofutures::async_wait(several.futures, ALL_COMPLETED, asio::deferred);
        done = found.done.size();
    };
    asio::co_spawn(context, coroutine, asio::detached);
    context.run();
    BOOST_TEST(done == 1u);
}
#endif

BOOST_AUTO_TEST_CASE(counts_duplicates_once) {
    asio::io_context context;
    Several several(2);
    several.promises[0].set_result(1);
    const Futures futures{several.futures[0], several.futures[1], several.futures[0]};
    auto found = cofutures::async_wait(
        futures, FIRST_COMPLETED, asio::bind_executor(context, asio::use_future)
    );
    context.run();
    const auto [done, not_done] = found.get();
    BOOST_CHECK((done == Futures{several.futures[0]}));
    BOOST_CHECK((not_done == Futures{several.futures[1]}));
}

BOOST_AUTO_TEST_CASE(gives_way_to_a_timer) {
    using namespace asio::experimental::awaitable_operators;
    asio::io_context context;
    Several several(2);
    several.promises[0].set_result(1);
    bool timed_out = false;
    const auto coroutine = [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(context, 1ms);
        const auto winner = co_await (
            cofutures::async_wait(several.futures) || timer.async_wait(asio::use_awaitable)
        );
        timed_out = winner.index() == 1;
    };
    asio::co_spawn(context, coroutine, asio::detached);
    context.run();
    BOOST_TEST(timed_out);
    several.promises[1].set_result(1);
}

BOOST_AUTO_TEST_CASE(takes_mixed_types_in_braces) {
    asio::io_context context;
    Several several(1);
    Promise<void> other;
    other.set_result();
    auto found = cofutures::async_wait(
        {AnyFuture(several.futures[0]), other.get_future()},
        FIRST_COMPLETED,
        asio::bind_executor(context, asio::use_future)
    );
    context.run();
    BOOST_CHECK(found.get().done.at(0) == other.get_future());
}

BOOST_AUTO_TEST_CASE(refuses_an_empty_handle) {
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::async_wait(Futures(1), ALL_COMPLETED, asio::deferred)),
        InvalidStateError
    );
}

BOOST_AUTO_TEST_CASE(cancellation_aborts_and_leaves_nothing_behind) {
    for (const auto type :
         {asio::cancellation_type::terminal,
          asio::cancellation_type::partial,
          asio::cancellation_type::total}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        ObjectCounts counts;
        Several several(3);
        int aborted = 0;
        cofutures::async_wait(
            several.futures,
            ALL_COMPLETED,
            asio::bind_cancellation_slot(
                signal.slot(),
                asio::bind_executor(
                    context,
                    [&, part = Observed(counts)](
                        const std::exception_ptr& error, const DoneAndNotDone<int>& found
                    ) {
                        aborted += is_aborted(error) && found.done.empty() && found.not_done.empty()
                                       ? 1
                                       : 0;
                    }
                )
            )
        );
        several.promises[1].set_result(1);
        signal.emit(asio::cancellation_type::none);
        context.poll();
        BOOST_TEST(aborted == 0);
        signal.emit(type);
        BOOST_TEST(aborted == 0);  // not inside the emission
        signal.emit(type);         // too late: nothing happens
        context.run();
        BOOST_TEST(aborted == 1);
        BOOST_TEST(counts.live() == 0);
        BOOST_TEST(!several.futures[0].done());
        several.promises[0].set_result(1);
        BOOST_TEST(aborted == 1);
    }
}

BOOST_AUTO_TEST_CASE(cancellation_after_the_end_is_too_late) {
    asio::io_context context;
    asio::cancellation_signal signal;
    Several several(1);
    bool fine = false;
    cofutures::async_wait(
        several.futures,
        ALL_COMPLETED,
        asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(
                context,
                [&](const std::exception_ptr& error, const DoneAndNotDone<int>& found) {
                    fine = error == nullptr && found.done.size() == 1;
                }
            )
        )
    );
    several.promises[0].set_result(1);
    signal.emit(asio::cancellation_type::all);
    context.run();
    BOOST_TEST(fine);
}

BOOST_AUTO_TEST_CASE(handler_of_an_executor_that_is_gone_is_freed) {
    ObjectCounts counts;
    Several several(2);
    {
        asio::io_context context;
        cofutures::async_wait(
            several.futures,
            FIRST_COMPLETED,
            asio::bind_executor(
                context,
                [part = Observed(counts)](const std::exception_ptr&, const DoneAndNotDone<int>&) {}
            )
        );
        several.promises[0].set_result(1);
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
    several.promises[1].set_result(1);
}

BOOST_AUTO_TEST_SUITE_END()
