#include <cofutures/when_all.hpp>

#define BOOST_TEST_MODULE when_all
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::generous;
using cofutures::test::LeakCheck;
using cofutures::test::MoveOnlyObserved;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::exception_ptr an_error(const std::string& text) {
    return std::make_exception_ptr(std::runtime_error(text));
}

template <class T>
struct Several {
    explicit Several(std::size_t count) : promises(count) {
        for (const Promise<T>& promise : promises) {
            futures.push_back(promise.get_future());
        }
    }
    std::vector<Promise<T>> promises;
    std::vector<Future<T>> futures;
};

template <class T>
std::string error_of(const Future<T>& future) {
    try {
        future.result();
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(when_all)

BOOST_AUTO_TEST_CASE(gives_values_in_input_order) {
    Several<std::string> several(3);
    Future<std::vector<std::string>> all = cofutures::when_all(several.futures);
    several.promises[2].set_result("c");
    several.promises[0].set_result("a");
    BOOST_TEST(!all.done());
    several.promises[1].set_result("b");
    const std::vector<std::string> expected{"a", "b", "c"};
    BOOST_TEST(all.result() == expected, boost::test_tools::per_element());
    BOOST_TEST(several.futures[0].result() == "a");  // still there
}

BOOST_AUTO_TEST_CASE(of_nothing_is_ready) {
    BOOST_TEST(cofutures::when_all(std::vector<Future<int>>()).result(0s).empty());
    cofutures::when_all(std::vector<Future<void>>()).result(0s);
    static_assert(std::is_same_v<decltype(cofutures::when_all()), Future<std::tuple<>>>);
    BOOST_TEST(cofutures::when_all().done());
}

BOOST_AUTO_TEST_CASE(takes_ranges_and_braces) {
    Several<int> several(2);
    several.promises[0].set_result(1);
    several.promises[1].set_result(2);
    const auto& f = several.futures;
    const std::vector<int> expected{1, 2};
    BOOST_TEST(cofutures::when_all(std::span(f)).result() == expected);
    BOOST_TEST(cofutures::when_all({f[0], f[1]}).result() == expected);
    const std::vector<int> repeated{1, 1};
    BOOST_TEST(cofutures::when_all({f[0], f[0]}).result() == repeated);
}

BOOST_AUTO_TEST_CASE(of_void_is_void) {
    Several<void> several(2);
    Future<void> all = cofutures::when_all(several.futures);
    several.promises[0].set_result();
    BOOST_TEST(!all.done());
    several.promises[1].set_result();
    all.result(0s);
}

BOOST_AUTO_TEST_CASE(of_references_refers_to_the_objects) {
    Several<int&> several(2);
    int values[] = {1, 2};
    Future<std::vector<std::reference_wrapper<int>>> all = cofutures::when_all(several.futures);
    several.promises[0].set_result(values[0]);
    several.promises[1].set_result(values[1]);
    all.result()[1].get() = 5;
    BOOST_TEST(values[1] == 5);
}

BOOST_AUTO_TEST_CASE(moves_what_nobody_else_can_read) {
    ObjectCounts counts;
    Several<Observed> several(2);
    auto all = cofutures::when_all(std::move(several.futures));
    several.promises[0].set_result(Observed(counts, 1));
    several.promises[1].set_result(Observed(counts, 2));
    BOOST_TEST(all.result()[0].value() == 1);
    BOOST_TEST(all.result()[1].value() == 2);
    BOOST_TEST(counts.copies == 0);
}

BOOST_AUTO_TEST_CASE(copies_what_others_can_read) {
    ObjectCounts counts;
    Several<Observed> several(1);
    const auto all = cofutures::when_all(several.futures);
    several.promises[0].set_result(Observed(counts, 1));
    BOOST_TEST(all.result()[0].value() == 1);
    BOOST_TEST(several.futures[0].result().value() == 1);
    BOOST_TEST(counts.copies == 1);
}

BOOST_AUTO_TEST_CASE(moves_what_can_only_be_moved) {
    ObjectCounts counts;
    Several<MoveOnlyObserved> several(2);
    auto all = cofutures::when_all(several.futures);
    several.promises[0].set_result(MoveOnlyObserved(counts, 1));
    several.promises[1].set_result(MoveOnlyObserved(counts, 2));
    BOOST_TEST(all.result()[1].value() == 2);
    BOOST_CHECK_THROW(several.futures[0].result(), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(fails_as_soon_as_one_fails) {
    Several<int> several(3);
    const auto all = cofutures::when_all(several.futures);
    several.promises[1].set_exception(an_error("one"));
    BOOST_TEST(error_of(all) == "one");
    several.promises[0].set_exception(an_error("zero"));
    BOOST_TEST(error_of(all) == "one");
    BOOST_TEST(!several.futures[2].done());
}

BOOST_AUTO_TEST_CASE(of_several_failures_known_gives_the_first_in_input_order) {
    Several<int> several(3);
    several.promises[2].set_exception(an_error("two"));
    several.promises[1].set_exception(an_error("one"));
    BOOST_TEST(error_of(cofutures::when_all(several.futures)) == "one");
}

BOOST_AUTO_TEST_CASE(is_cancelled_when_an_input_is) {
    Several<int> several(2);
    const auto all = cofutures::when_all(several.futures);
    several.futures[1].cancel();
    BOOST_TEST(all.cancelled());
    BOOST_CHECK_THROW(all.result(), CancelledError);
}

BOOST_AUTO_TEST_CASE(cancelled_leaves_the_inputs_alone_and_keeps_nothing_of_them) {
    ObjectCounts counts;
    Several<Observed> several(2);
    several.promises[0].set_result(Observed(counts));
    const auto all = cofutures::when_all(several.futures);
    BOOST_TEST(all.cancel());
    BOOST_TEST(!several.futures[1].cancelled());
    several.promises.clear();
    several.futures.clear();
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(all.cancelled());
}

BOOST_AUTO_TEST_CASE(holds_no_input_once_it_is_done) {
    ObjectCounts counts;
    Several<Observed> several(2);
    const auto all = cofutures::when_all(std::move(several.futures));
    several.promises[0].set_result(Observed(counts));
    several.promises[1].set_exception(an_error("one"));
    several.promises.clear();
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(error_of(all) == "one");
}

BOOST_AUTO_TEST_CASE(dropped_result_lets_the_inputs_go_on) {
    ObjectCounts counts;
    Several<Observed> several(2);
    static_cast<void>(cofutures::when_all(several.futures));
    several.promises[0].set_result(Observed(counts));
    several.promises[1].set_result(Observed(counts));
    several.futures.clear();
    several.promises.clear();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(value_that_throws_when_copied_fails_the_result) {
    struct Uncopyable {
        Uncopyable() = default;
        Uncopyable(const Uncopyable&) { throw std::length_error("copy"); }
        Uncopyable(Uncopyable&&) noexcept {}
    };
    Several<Uncopyable> several(1);
    const auto all = cofutures::when_all(several.futures);
    several.promises[0].set_result(Uncopyable());
    BOOST_TEST(error_of(all) == "copy");
}

BOOST_AUTO_TEST_CASE(of_different_types_gives_a_tuple) {
    Promise<int> number;
    Promise<void> nothing;
    Promise<std::unique_ptr<std::string>> text;
    Promise<int&> reference;
    auto all = cofutures::when_all(
        number.get_future(), nothing.get_future(), text.get_future(), reference.get_future()
    );
    static_assert(std::is_same_v<
                  decltype(all),
                  Future<std::tuple<
                      int,
                      std::monostate,
                      std::unique_ptr<std::string>,
                      std::reference_wrapper<int>>>>);
    int target = 7;
    reference.set_result(target);
    text.set_result(std::make_unique<std::string>("text"));
    nothing.set_result();
    BOOST_TEST(!all.done());
    number.set_result(1);
    const auto [n, none, t, r] = std::move(all).result();
    BOOST_TEST(n == 1);
    BOOST_TEST(*t == "text");
    BOOST_TEST(&r.get() == &target);
    static_cast<void>(none);
}

BOOST_AUTO_TEST_CASE(of_different_types_fails_with_the_first_failure) {
    Promise<int> number;
    Promise<std::string> text;
    const auto all = cofutures::when_all(number.get_future(), text.get_future());
    text.set_exception(an_error("text"));
    BOOST_TEST(error_of(all) == "text");
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::when_all(number.get_future(), Future<int>())),
        InvalidStateError
    );
}

BOOST_AUTO_TEST_CASE(of_deep_nesting_needs_no_more_stack) {
    Promise<void> promise;
    Future<void> last = promise.get_future();
    constexpr int depth = 100'000;
    for (int i = 0; i < depth; ++i) {
        last = cofutures::when_all({last});
    }
    promise.set_result();
    last.result(0s);
}

BOOST_AUTO_TEST_CASE(can_be_awaited) {
    asio::io_context context;
    Several<int> several(2);
    int sum = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            for (const int value : co_await cofutures::when_all(several.futures)) {
                sum += value;
            }
        },
        asio::detached
    );
    context.poll();
    several.promises[0].set_result(1);
    several.promises[1].set_result(2);
    context.run();
    BOOST_TEST(sum == 3);
}

BOOST_AUTO_TEST_CASE(ends_while_many_threads_end_the_inputs) {
    for (int round = 0; round < 200; ++round) {
        Several<int> several(8);
        std::vector<std::thread> threads;
        for (Promise<int>& promise : several.promises) {
            threads.emplace_back([&promise] { promise.set_result(1); });
        }
        const auto all = cofutures::when_all(several.futures);
        BOOST_TEST_REQUIRE(all.result(generous).size() == 8u);
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(when_any)

// Each value holds the last handle on the next future.
BOOST_AUTO_TEST_CASE(a_long_chain_of_them_is_destroyed_without_overflowing_the_stack) {
    for (const bool dropped_before : {false, true}) {
        Promise<int> promise;
        AnyFuture last = promise.get_future();
        for (int i = 0; i < 200'000; ++i) {
            last = cofutures::when_any(std::vector<AnyFuture>{last});
        }
        if (dropped_before) {
            last = AnyFuture();
        }
        promise.set_result(1);
        BOOST_TEST((dropped_before || last.done()));
    }
}

BOOST_AUTO_TEST_CASE(gives_the_first_that_is_done) {
    Several<int> several(3);
    Future<Future<int>> any = cofutures::when_any(several.futures);
    BOOST_TEST(!any.done());
    several.promises[1].set_result(1);
    several.promises[0].set_result(0);
    BOOST_CHECK(any.result() == several.futures[1]);
}

BOOST_AUTO_TEST_CASE(of_several_done_gives_the_first_in_input_order) {
    Several<int> several(3);
    several.promises[2].set_result(2);
    several.promises[1].set_result(1);
    BOOST_CHECK(cofutures::when_any(several.futures).result() == several.futures[1]);
}

BOOST_AUTO_TEST_CASE(counts_failed_and_cancelled_as_done) {
    Several<int> several(2);
    const auto any = cofutures::when_any({several.futures[0], several.futures[1]});
    several.futures[0].cancel();
    BOOST_TEST(any.result().cancelled());
    Several<int> failing(2);
    const auto failed = cofutures::when_any(failing.futures);
    failing.promises[1].set_exception(an_error("failed"));
    BOOST_TEST(error_of(failed.result()) == "failed");
}

BOOST_AUTO_TEST_CASE(of_nothing_is_refused) {
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::when_any(std::vector<Future<int>>())), std::invalid_argument
    );
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::when_any(std::vector<Future<int>>(1))), InvalidStateError
    );
}

BOOST_AUTO_TEST_CASE(takes_mixed_types) {
    Promise<int> number;
    Promise<std::string> text;
    const auto a = number.get_future();
    const auto b = text.get_future();
    Future<AnyFuture> any = cofutures::when_any({a, b});
    text.set_result("text");
    BOOST_CHECK(any.result() == b);
}

BOOST_AUTO_TEST_CASE(cancelled_leaves_the_inputs_alone) {
    Several<int> several(2);
    const auto any = cofutures::when_any(several.futures);
    BOOST_TEST(any.cancel());
    several.promises[0].set_result(1);
    BOOST_TEST(any.cancelled());
    BOOST_TEST(!several.futures[1].done());
}

BOOST_AUTO_TEST_CASE(gives_the_only_handle_so_that_the_value_can_be_moved_out) {
    ObjectCounts counts;
    Several<Observed> several(2);
    auto any = cofutures::when_any(std::move(several.futures));
    several.promises[0].set_result(Observed(counts, 1));
    auto first = std::move(any).result();
    BOOST_TEST(std::move(first).result().value() == 1);
    BOOST_TEST(counts.copies == 0);
}

BOOST_AUTO_TEST_SUITE_END()
