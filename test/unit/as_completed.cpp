#include <cofutures/as_completed.hpp>

#define BOOST_TEST_MODULE as_completed
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Futures = std::vector<Future<int>>;

struct Several {
    explicit Several(std::size_t count) : promises(count) {
        for (const Promise<int>& promise : promises) {
            futures.push_back(promise.get_future());
        }
    }
    std::vector<Promise<int>> promises;
    Futures futures;
};

static_assert(std::ranges::input_range<AsCompleted<Future<int>>>);
static_assert(std::ranges::view<AsCompleted<Future<int>>>);
static_assert(!std::copyable<AsCompleted<Future<int>>>);

std::string message_of(auto& range) {
    try {
        for (Future<int> future : range) {
            static_cast<void>(future);
        }
    } catch (const TimeoutError& error) {
        return error.what();
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(as_completed)

BOOST_AUTO_TEST_CASE(of_nothing_is_empty) {
    for (Future<int> future : cofutures::as_completed(Futures())) {
        BOOST_ERROR("there is no future " << future);
    }
    for (Future<int> future : cofutures::as_completed(Futures(), 0s)) {
        BOOST_ERROR("there is no future " << future);
    }
}

BOOST_AUTO_TEST_CASE(gives_what_is_done_first_then_the_order_of_the_end) {
    Several several(5);
    several.promises[3].set_result(3);
    several.futures[1].cancel();
    auto range = cofutures::as_completed(several.futures);
    several.promises[4].set_exception(std::make_exception_ptr(std::runtime_error("failed")));
    several.promises[0].set_result(0);
    several.promises[2].set_result(2);
    Futures order;
    for (Future<int> future : range) {
        order.push_back(future);
    }
    const Futures& f = several.futures;
    BOOST_CHECK((order == Futures{f[1], f[3], f[4], f[0], f[2]}));
}

BOOST_AUTO_TEST_CASE(gives_duplicates_once) {
    Several several(2);
    several.promises[0].set_result(1);
    several.promises[1].set_result(1);
    const Futures& f = several.futures;
    std::size_t given = 0;
    for (Future<int> future : cofutures::as_completed({f[0], f[1], f[0], f[0], f[1]})) {
        given += future.done() ? 1 : 0;
    }
    BOOST_TEST(given == 2u);
}

BOOST_AUTO_TEST_CASE(blocks_until_one_more_ends) {
    Several several(100);
    Gate half;
    std::thread producer([&] {
        for (std::size_t i = 0; i < several.promises.size(); ++i) {
            if (i == 50) {
                half.wait();
            }
            several.promises[i].set_result(static_cast<int>(i));
        }
    });
    int expected = 0;
    for (Future<int> future : cofutures::as_completed(several.futures, generous)) {
        BOOST_TEST(future.result() == expected);
        if (++expected == 50) {
            half.open();
        }
    }
    BOOST_TEST(expected == 100);
    producer.join();
}

BOOST_AUTO_TEST_CASE(keeps_nothing_of_what_it_gave) {
    ObjectCounts counts;
    std::vector<Promise<Observed>> promises(3);
    std::vector<Future<Observed>> futures;
    for (const auto& promise : promises) {
        futures.push_back(promise.get_future());
    }
    auto range = cofutures::as_completed(std::move(futures));
    for (auto& promise : promises) {
        promise.set_result(Observed(counts));
    }
    promises.clear();
    int left = 3;
    for (Future<Observed> future : range) {
        BOOST_TEST(counts.live() == left);
        future = Future<Observed>();
        BOOST_TEST(counts.live() == --left);
    }
    BOOST_TEST(left == 0);
}

BOOST_AUTO_TEST_CASE(gives_the_only_handle_so_that_the_value_can_be_moved_out) {
    ObjectCounts counts;
    Promise<Observed> promise;
    promise.set_result(Observed(counts, 5));
    std::vector<Future<Observed>> futures{promise.get_future()};
    for (Future<Observed> future : cofutures::as_completed(std::move(futures))) {
        BOOST_TEST(std::move(future).result().value() == 5);
    }
    BOOST_TEST(counts.copies == 0);
}

BOOST_AUTO_TEST_CASE(dereferencing_to_look_takes_nothing) {
    Several several(1);
    several.promises[0].set_result(7);
    auto range = cofutures::as_completed(several.futures);
    const auto it = range.begin();
    BOOST_TEST((*it).result() == 7);
    BOOST_TEST((*it).result() == 7);
}

BOOST_AUTO_TEST_CASE(deadline_counts_from_the_call_and_spares_what_is_done) {
    Several several(4);
    several.promises[0].set_result(1);
    auto range = cofutures::as_completed(several.futures, 0s);
    several.promises[2].set_result(1);  // after the deadline, before the iteration
    int given = 0;
    try {
        for (Future<int> future : range) {
            BOOST_TEST(future.done());
            ++given;
        }
        BOOST_ERROR("two futures are unfinished");
    } catch (const TimeoutError& error) {
        BOOST_TEST(error.what() == std::string("2 (of 4) futures unfinished"));
    }
    BOOST_TEST(given == 2);
    BOOST_CHECK(range.begin() == range.end());  // it has ended
}

BOOST_AUTO_TEST_CASE(timeout_counts_distinct_futures) {
    Several several(3);
    several.futures.push_back(several.futures[0]);
    auto range = cofutures::as_completed(several.futures, 1ms);
    BOOST_TEST(message_of(range) == "3 (of 3) futures unfinished");
    BOOST_TEST(!several.futures[0].cancelled());
}

BOOST_AUTO_TEST_CASE(can_be_left_and_taken_up_again) {
    Several several(3);
    for (Promise<int>& promise : several.promises) {
        promise.set_result(1);
    }
    auto range = cofutures::as_completed(several.futures);
    int given = 0;
    for (Future<int> future : range) {
        given += future.result();
        break;
    }
    for (Future<int> future : range) {
        given += future.result();
    }
    BOOST_TEST(given == 3);
}

BOOST_AUTO_TEST_CASE(destroyed_early_leaves_the_rest_alone) {
    ObjectCounts counts;
    std::vector<Promise<Observed>> promises(3);
    for (int round = 0; round < 100; ++round) {
        std::vector<Future<Observed>> futures;
        for (const auto& promise : promises) {
            futures.push_back(promise.get_future());
        }
        static_cast<void>(cofutures::as_completed(std::move(futures)));
    }
    promises[0].set_result(Observed(counts));
    BOOST_TEST(!promises[1].get_future().cancelled());
    BOOST_TEST(counts.live() == 1);
    promises.clear();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(can_be_moved_and_assigned) {
    Several several(2);
    auto range = cofutures::as_completed(Futures(several.futures));
    range = cofutures::as_completed(Futures{several.futures[1]});
    auto moved = std::move(range);
    several.promises[1].set_result(4);
    int sum = 0;
    for (Future<int> future : moved) {
        sum += future.result();
    }
    BOOST_TEST(sum == 4);
}

BOOST_AUTO_TEST_CASE(inside_a_callback_sees_what_this_thread_has_put_off) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Futures chained;
    int sum = 0;
    future.add_done_callback([&] {
        for (Future<int> done : cofutures::as_completed(chained)) {
            sum += done.result();
        }
    });
    for (int i = 0; i < 3; ++i) {
        chained.push_back(future.then([i](int value) { return value + i; }));
    }
    promise.set_result(1);
    BOOST_TEST(sum == 6);
}

BOOST_AUTO_TEST_CASE(takes_mixed_types) {
    Promise<int> number;
    Promise<std::string> text;
    number.set_result(1);
    text.set_result("text");
    const auto a = number.get_future();
    const auto b = text.get_future();
    std::vector<AnyFuture> order;
    for (AnyFuture future : cofutures::as_completed({b, a})) {
        order.push_back(future);
    }
    BOOST_TEST_REQUIRE(order.size() == 2u);
    BOOST_CHECK(order[0] == b);
    BOOST_CHECK(order[1] == a);
}

// clang before 16 cannot compile libstdc++'s views.
#if !defined(__clang__) || __clang_major__ >= 16
BOOST_AUTO_TEST_CASE(works_with_views) {
    Several several(3);
    for (int i = 0; i < 3; ++i) {
        several.promises[static_cast<std::size_t>(i)].set_result(i + 1);
    }
    int sum = 0;
    for (const int value :
         cofutures::as_completed(several.futures) | std::views::filter([](const Future<int>& f) {
             return f.result() != 2;
         }) | std::views::transform([](const Future<int>& f) { return f.result(); })) {
        sum += value;
    }
    BOOST_TEST(sum == 4);
}
#endif

BOOST_AUTO_TEST_CASE(refuses_an_empty_handle) {
    BOOST_CHECK_THROW(static_cast<void>(cofutures::as_completed(Futures(1))), InvalidStateError);
}

BOOST_AUTO_TEST_SUITE_END()
