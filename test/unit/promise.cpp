#include <cofutures/promise.hpp>

#define BOOST_TEST_MODULE promise
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

struct ThrowsOnCopy {
    ThrowsOnCopy() = default;
    ThrowsOnCopy(const ThrowsOnCopy&) { throw std::runtime_error("copy"); }
    ThrowsOnCopy(ThrowsOnCopy&&) = default;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(promise)

BOOST_AUTO_TEST_CASE(is_move_only) {
    static_assert(!std::is_copy_constructible_v<Promise<int>>);
    static_assert(std::is_nothrow_move_constructible_v<Promise<int>>);
    static_assert(std::is_nothrow_move_assignable_v<Promise<int>>);
}

BOOST_AUTO_TEST_CASE(gives_equal_futures_any_number_of_times) {
    Promise<int> promise;
    BOOST_CHECK(promise.get_future() == promise.get_future());
}

BOOST_AUTO_TEST_CASE(gives_a_future_with_the_value_after_it_was_set) {
    Promise<int> promise;
    promise.set_result(42);
    for (int i = 0; i < 2; ++i) {
        const auto future = promise.get_future();
        BOOST_TEST(future.result() == 42);
    }
}

BOOST_AUTO_TEST_CASE(gives_a_future_with_the_error_after_it_was_set) {
    Promise<int> promise;
    promise.set_exception(std::make_exception_ptr(std::out_of_range("late")));
    BOOST_CHECK_THROW(promise.get_future().result(), std::out_of_range);
    BOOST_CHECK_THROW(promise.get_future().result(), std::out_of_range);
}

BOOST_AUTO_TEST_CASE(a_chain_on_a_temporary_future_leaves_the_value_to_later_ones) {
    Promise<std::string> promise;
    auto size = promise.get_future().then([](std::string text) { return text.size(); });
    promise.set_result("hello");
    BOOST_TEST(size.result() == 5u);
    BOOST_TEST(promise.get_future().result() == "hello");
}

BOOST_AUTO_TEST_CASE(a_value_without_future_dies_with_the_promise) {
    ObjectCounts counts;
    {
        Promise<Observed> promise;
        promise.set_result(Observed(counts, 1));
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(destroyed_unfulfilled_breaks_the_future) {
    Future<int> pending;
    Future<int> running;
    {
        Promise<int> promise;
        pending = promise.get_future();
        Promise<int> begun;
        running = begun.get_future();
        begun.set_running_or_notify_cancel();
    }
    for (const Future<int>& future : {pending, running}) {
        BOOST_TEST(future.done());
        BOOST_CHECK_EXCEPTION(future.result(), BrokenExecutor, [](const BrokenExecutor& error) {
            return error.what() == std::string("abandoned");
        });
    }
}

BOOST_AUTO_TEST_CASE(destroyed_after_cancel_leaves_the_future_cancelled) {
    std::optional<Promise<int>> promise(std::in_place);
    const auto future = promise->get_future();
    future.cancel();
    promise.reset();
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(assigning_abandons_what_it_held) {
    Promise<int> promise;
    const auto old = promise.get_future();
    promise = Promise<int>();
    BOOST_CHECK_THROW(old.result(), BrokenExecutor);
    promise.set_result(1);
    BOOST_TEST(promise.get_future().result() == 1);
}

BOOST_AUTO_TEST_CASE(moved_from_throws_invalid_state) {
    Promise<int> promise;
    const Promise<int> moved(std::move(promise));
    BOOST_CHECK_THROW(static_cast<void>(promise.get_future()), InvalidStateError);
    BOOST_CHECK_THROW(promise.set_result(1), InvalidStateError);
    BOOST_CHECK_THROW(
        promise.set_exception(std::make_exception_ptr(std::runtime_error(""))), InvalidStateError
    );
    BOOST_CHECK_THROW(promise.set_running_or_notify_cancel(), InvalidStateError);
    BOOST_TEST(!moved.get_future().done());
}

BOOST_AUTO_TEST_CASE(set_running_or_notify_cancel_in_every_state) {
    Promise<int> promise;
    BOOST_TEST(promise.set_running_or_notify_cancel());
    BOOST_CHECK_THROW(promise.set_running_or_notify_cancel(), InvalidStateError);
    promise.set_result(1);
    BOOST_CHECK_THROW(promise.set_running_or_notify_cancel(), InvalidStateError);

    Promise<int> cancelled;
    cancelled.get_future().cancel();
    BOOST_TEST(!cancelled.set_running_or_notify_cancel());
    BOOST_CHECK_THROW(cancelled.set_running_or_notify_cancel(), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(a_result_is_set_once_and_the_first_stays) {
    Promise<int> promise;
    promise.set_result(1);
    BOOST_CHECK_EXCEPTION(promise.set_result(2), InvalidStateError, [](const Error& error) {
        return std::string(error.what()).find("finished") != std::string::npos;
    });
    BOOST_CHECK_THROW(
        promise.set_exception(std::make_exception_ptr(std::runtime_error(""))), InvalidStateError
    );
    BOOST_TEST(promise.get_future().result() == 1);
}

BOOST_AUTO_TEST_CASE(a_cancelled_future_takes_no_result) {
    Promise<int> promise;
    const auto future = promise.get_future();
    future.cancel();
    BOOST_CHECK_THROW(promise.set_result(2), InvalidStateError);
    BOOST_CHECK_THROW(
        promise.set_exception(std::make_exception_ptr(std::runtime_error(""))), InvalidStateError
    );
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(a_null_exception_is_refused) {
    Promise<int> promise;
    BOOST_CHECK_THROW(promise.set_exception(nullptr), std::invalid_argument);
    promise.set_result(3);
    BOOST_TEST(promise.get_future().result() == 3);
}

BOOST_AUTO_TEST_CASE(a_value_whose_constructor_throws_fails_the_future_and_the_call) {
    Promise<ThrowsOnCopy> promise;
    const ThrowsOnCopy value;
    BOOST_CHECK_THROW(promise.set_result(value), std::runtime_error);
    BOOST_CHECK_THROW(promise.get_future().result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(values_are_converted_references_bound_and_void_needs_none) {
    Promise<std::string> text;
    text.set_result("abc");
    BOOST_TEST(text.get_future().result() == "abc");

    Promise<std::vector<int>> braced;
    braced.set_result({1, 2});
    BOOST_TEST(braced.get_future().result().size() == 2u);

    int target = 1;
    Promise<int&> reference;
    reference.set_result(target);
    BOOST_TEST(&reference.get_future().result() == &target);

    Promise<const int&> to_const;
    to_const.set_result(target);
    BOOST_TEST(&to_const.get_future().result() == &target);

    Promise<void> nothing;
    nothing.set_result();
    BOOST_CHECK_NO_THROW(nothing.get_future().result());
}

BOOST_AUTO_TEST_CASE(a_callback_may_destroy_the_promise_that_runs_it) {
    for (const bool fails : {false, true}) {
        auto promise = std::make_unique<Promise<std::string>>();
        int calls = 0;
        promise->get_future().add_done_callback([&] {
            ++calls;
            promise.reset();
        });
        promise->get_future().add_done_callback([&] { ++calls; });
        if (fails) {
            promise->set_exception(std::make_exception_ptr(std::runtime_error("")));
        } else {
            promise->set_result("value");
        }
        BOOST_TEST(calls == 2);
    }
}

BOOST_AUTO_TEST_SUITE_END()
