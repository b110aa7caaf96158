#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE future
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <ratio>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

template <class T>
std::string repr(const Future<T>& future) {
    std::ostringstream out;
    out << future;
    return out.str();
}

struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(empty_handle)

BOOST_AUTO_TEST_CASE(is_invalid_and_equal_to_other_empty_ones) {
    const Future<int> empty;
    BOOST_TEST(!empty.valid());
    BOOST_CHECK(empty == Future<int>());
    Promise<int> promise;
    auto future = promise.get_future();
    BOOST_TEST(future.valid());
    const auto moved = std::move(future);
    BOOST_TEST(!future.valid());
    BOOST_TEST(moved.valid());
}

BOOST_AUTO_TEST_CASE(throws_from_every_other_call) {
    Future<int> empty;
    const auto identity = [](int value) {
        return value;
    };
    BOOST_CHECK_THROW(empty.cancel(), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.cancelled()), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.running()), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.done()), InvalidStateError);
    BOOST_CHECK_THROW(empty.result(), InvalidStateError);
    BOOST_CHECK_THROW(empty.result(1s), InvalidStateError);
    BOOST_CHECK_THROW(std::move(empty).result(), InvalidStateError);
    BOOST_CHECK_THROW(std::move(empty).result(1s), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.exception()), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.exception(1s)), InvalidStateError);
    BOOST_CHECK_THROW(empty.wait(), InvalidStateError);
    BOOST_CHECK_THROW(empty.wait_for(1s), InvalidStateError);
    BOOST_CHECK_THROW(empty.add_done_callback([] {}), InvalidStateError);
    BOOST_CHECK_THROW(empty.then(identity), InvalidStateError);
    BOOST_CHECK_THROW(
        empty.or_else([](const std::exception_ptr&) { return 0; }), InvalidStateError
    );
    BOOST_CHECK_THROW(empty.request_stop(), InvalidStateError);
    BOOST_CHECK_THROW(empty.async_wait([](auto) {}), InvalidStateError);
    BOOST_CHECK_THROW(empty.async_result([](auto, int) {}), InvalidStateError);
    BOOST_CHECK_THROW(std::move(empty).async_result([](auto, int) {}), InvalidStateError);
    BOOST_CHECK_THROW(empty([](auto, int) {}), InvalidStateError);
    BOOST_CHECK_THROW(repr(empty), InvalidStateError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(future)

BOOST_AUTO_TEST_CASE(is_a_cheap_copyable_handle) {
    static_assert(sizeof(Future<std::string>) == sizeof(void*));
    static_assert(std::is_nothrow_copy_constructible_v<Future<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_constructible_v<Future<void>>);
    static_assert(std::is_nothrow_copy_assignable_v<Future<int&>>);
    static_assert(std::is_same_v<Future<int&>::value_type, int&>);
}

BOOST_AUTO_TEST_CASE(results_have_the_documented_types) {
    using std::declval;
    using L = const Future<int>&;
    static_assert(std::is_same_v<decltype(declval<L>().result()), const int&>);
    static_assert(std::is_same_v<decltype(declval<L>().result(1s)), const int&>);
    static_assert(std::is_same_v<decltype(declval<Future<int>>().result()), int>);
    static_assert(std::is_same_v<decltype(declval<Future<int>>().result(1s)), int>);
    static_assert(std::is_same_v<decltype(declval<const Future<int&>&>().result()), int&>);
    static_assert(std::is_same_v<decltype(declval<Future<int&>>().result()), int&>);
    static_assert(std::is_same_v<decltype(declval<const Future<void>&>().result()), void>);
    static_assert(std::is_same_v<decltype(declval<Future<void>>().result()), void>);
}

BOOST_AUTO_TEST_CASE(compares_and_hashes_by_identity) {
    Promise<int> promise;
    Promise<int> other;
    const auto future = promise.get_future();
    const auto copy = future;
    promise.set_result(1);
    other.set_result(1);
    BOOST_CHECK(future == copy);
    BOOST_CHECK(future != other.get_future());
    BOOST_CHECK(future != Future<int>());
    const std::unordered_set<Future<int>> set{future, copy, other.get_future()};
    BOOST_TEST(set.size() == 2u);
    BOOST_TEST(set.contains(copy));
}

BOOST_AUTO_TEST_CASE(assigns_itself) {
    Promise<int> promise;
    auto future = promise.get_future();
    const auto& same = future;
    future = same;
    promise.set_result(1);
    BOOST_TEST(future.result() == 1);
}

BOOST_AUTO_TEST_CASE(pending_can_be_cancelled_once_and_for_all) {
    Promise<int> promise;
    const auto future = promise.get_future();
    BOOST_TEST(!future.done());
    BOOST_TEST(!future.running());
    BOOST_TEST(!future.cancelled());
    BOOST_TEST(future.cancel());
    BOOST_TEST(future.cancel());
    BOOST_TEST(future.cancelled());
    BOOST_TEST(future.done());
    BOOST_TEST(!future.running());
    BOOST_TEST(future.wait());
    BOOST_CHECK_THROW(future.result(), CancelledError);
    BOOST_CHECK_THROW(static_cast<void>(future.exception()), CancelledError);
    BOOST_TEST(!promise.set_running_or_notify_cancel());
    BOOST_TEST(future.cancelled());
    BOOST_TEST(future.cancel());
    BOOST_TEST(future.done());
}

BOOST_AUTO_TEST_CASE(running_cannot_be_cancelled) {
    Promise<int> promise;
    const auto future = promise.get_future();
    promise.set_running_or_notify_cancel();
    BOOST_TEST(future.running());
    BOOST_TEST(!future.cancel());
    BOOST_TEST(!future.cancelled());
    BOOST_TEST(!future.done());
    promise.set_result(1);
    BOOST_TEST(!future.running());
    BOOST_TEST(!future.cancel());
    BOOST_TEST(future.done());
}

BOOST_AUTO_TEST_CASE(rethrows_the_same_exception_object_each_time) {
    Promise<int> promise;
    const auto future = promise.get_future();
    promise.set_exception(an_error());
    const void* first = nullptr;
    for (int i = 0; i < 2; ++i) {
        try {
            static_cast<void>(future.result());
            BOOST_FAIL("result() must throw");
        } catch (const std::runtime_error& error) {
            BOOST_CHECK(first == nullptr || first == &error);
            first = &error;
        }
    }
    BOOST_CHECK(future.exception() == future.exception(0s));
    BOOST_TEST(future.wait());
}

BOOST_AUTO_TEST_CASE(a_task_that_throws_cancelled_error_was_not_cancelled) {
    Promise<int> promise;
    const auto future = promise.get_future();
    promise.set_exception(std::make_exception_ptr(CancelledError("its own")));
    BOOST_TEST(!future.cancelled());
    BOOST_CHECK(future.exception() != nullptr);
    BOOST_CHECK_THROW(future.result(), CancelledError);
}

BOOST_AUTO_TEST_CASE(holds_values_of_every_kind) {
    Promise<NoDefault> no_default;
    no_default.set_result(NoDefault(3));
    BOOST_TEST(no_default.get_future().result().value == 3);

    int target = 4;
    Promise<int&> reference;
    reference.set_result(target);
    ++reference.get_future().result();
    BOOST_TEST(target == 5);

    Promise<std::unique_ptr<int>> move_only;
    move_only.set_result(std::make_unique<int>(6));
    BOOST_TEST(*move_only.get_future().result() == 6);

    Promise<void> nothing;
    nothing.set_result();
    BOOST_CHECK_NO_THROW(nothing.get_future().result());
    BOOST_CHECK(nothing.get_future().exception() == nullptr);

    Promise<std::exception_ptr> an_exception_as_value;
    an_exception_as_value.set_result(an_error());
    BOOST_CHECK(an_exception_as_value.get_future().exception() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_value_whose_copy_throws_stays) {
    struct Fragile {
        explicit Fragile(bool* f) : fail(f) {}
        Fragile(const Fragile& other) : fail(other.fail) {
            if (*fail) {
                throw std::runtime_error("copy");
            }
        }
        bool* fail;
    };
    bool fail = false;
    Promise<Fragile> promise;
    promise.set_result(Fragile(&fail));
    const auto keep = promise.get_future();
    fail = true;
    BOOST_CHECK_THROW(promise.get_future().result(), std::runtime_error);
    BOOST_CHECK_THROW(keep.then([](Fragile) {}).result(), std::runtime_error);
    fail = false;
    BOOST_CHECK_NO_THROW(promise.get_future().result());
}

BOOST_AUTO_TEST_CASE(request_stop_says_that_no_one_listens) {
    Promise<int> promise;
    BOOST_TEST(!promise.get_future().request_stop());
}

BOOST_AUTO_TEST_CASE(writes_its_state_as_python_does) {
    Promise<int> promise;
    const auto future = promise.get_future();
    BOOST_TEST(repr(future).starts_with("<Future at 0x"));
    BOOST_TEST(repr(future).ends_with(" state=pending>"));
    promise.set_running_or_notify_cancel();
    BOOST_TEST(repr(future).ends_with(" state=running>"));
    promise.set_result(1);
    BOOST_TEST(repr(future).ends_with(" state=finished returned int>"));

    Promise<int&> reference;
    int target = 0;
    reference.set_result(target);
    BOOST_TEST(repr(reference.get_future()).ends_with(" returned int&>"));

    Promise<void> failed;
    failed.set_exception(an_error());
    BOOST_TEST(repr(failed.get_future()).ends_with(" state=finished raised std::runtime_error>"));

    Promise<void> odd;
    odd.set_exception(std::make_exception_ptr(3));
    BOOST_TEST(repr(odd.get_future()).ends_with(" raised an exception of unknown type>"));

    Promise<void> cancelled;
    cancelled.get_future().cancel();
    BOOST_TEST(repr(cancelled.get_future()).ends_with(" state=cancelled>"));
    cancelled.set_running_or_notify_cancel();
    BOOST_TEST(repr(cancelled.get_future()).ends_with(" state=cancelled>"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(timeouts)

BOOST_AUTO_TEST_CASE(zero_and_less_ask_without_blocking) {
    Promise<int> promise;
    const auto future = promise.get_future();
    using Seconds = std::chrono::duration<double>;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    BOOST_CHECK_THROW(future.result(0s), TimeoutError);
    BOOST_CHECK_THROW(future.result(-1s), TimeoutError);
    BOOST_CHECK_THROW(future.result(std::chrono::milliseconds::min()), TimeoutError);
    BOOST_CHECK_THROW(future.result(std::chrono::hours::min()), TimeoutError);
    BOOST_CHECK_THROW(future.result(Seconds(-infinity)), TimeoutError);
    BOOST_CHECK_THROW(future.result(Seconds(std::nan(""))), TimeoutError);
    BOOST_CHECK_THROW(future.result(Seconds(0.0)), TimeoutError);
    BOOST_CHECK_THROW(promise.get_future().result(0s), TimeoutError);
    BOOST_CHECK_THROW(static_cast<void>(future.exception(0s)), TimeoutError);
    BOOST_TEST(!future.wait_for(0s));
    BOOST_TEST(!future.wait_for(Seconds(1e-9)));
    BOOST_TEST(!future.done());
    promise.set_result(1);
    BOOST_TEST(future.result(0s) == 1);
    BOOST_TEST(future.result(-1s) == 1);
    BOOST_TEST(future.wait_for(-1s));
}

BOOST_AUTO_TEST_CASE(short_ones_run_out_and_the_call_goes_on) {
    Promise<int> promise;
    const auto future = promise.get_future();
    const auto begin = std::chrono::steady_clock::now();
    BOOST_CHECK_THROW(future.result(5ms), TimeoutError);
    BOOST_TEST(!future.wait_for(std::chrono::duration<double, std::milli>(5.5)));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 10ms));
    promise.set_result(1);
    BOOST_TEST(future.result(5ms) == 1);
}

BOOST_AUTO_TEST_CASE(huge_ones_wait_for_the_result) {
    using namespace std::chrono;
    const auto waits = [](auto timeout) {
        Promise<int> promise;
        const auto future = promise.get_future();
        int seen = 0;
        std::thread waiter([&] { seen = future.result(timeout); });
        promise.set_result(1);
        waiter.join();
        BOOST_TEST(seen == 1);
    };
    waits(milliseconds::max());
    waits(nanoseconds::max());
    waits(hours::max());
    waits(duration<std::int64_t, std::ratio<31'556'952>>::max());
    waits(duration<double>(std::numeric_limits<double>::infinity()));
    waits(duration<double>::max());
    waits(duration<float, std::nano>::max());
    waits(duration<unsigned char>(200));
}

BOOST_AUTO_TEST_CASE(of_a_task_are_not_mistaken_for_those_of_the_wait) {
    Promise<int> promise;
    promise.set_exception(
        std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::timed_out)))
    );
    BOOST_CHECK_THROW(promise.get_future().result(0s), std::system_error);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(waiting_threads)

BOOST_AUTO_TEST_CASE(are_all_set_free_by_result_error_cancel_and_abandonment) {
    for (const int how : {0, 1, 2, 3}) {
        Promise<int> promise;
        const auto future = promise.get_future();
        std::atomic<int> set_free{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&, timed = i % 2 == 0] {
                set_free += timed ? future.wait_for(test::generous) : future.wait();
            });
        }
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
        for (std::thread& thread : threads) {
            thread.join();
        }
        BOOST_TEST(set_free == 4);
        BOOST_TEST(future.done());
    }
}

BOOST_AUTO_TEST_CASE(see_what_the_call_wrote) {
    int written = 0;
    Promise<void> promise;
    const auto future = promise.get_future();
    std::thread writer([&] {
        written = 1;
        promise.set_result();
    });
    while (!future.done()) {
        std::this_thread::yield();
    }
    BOOST_TEST(written == 1);
    writer.join();
}

BOOST_AUTO_TEST_CASE(are_set_free_before_callbacks_run) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Gate waiting;
    Gate released;
    std::thread waiter([&] {
        waiting.open();
        static_cast<void>(future.result());
        released.open();
    });
    waiting.wait();
    bool was_released = false;
    future.add_done_callback([&] {
        released.wait();
        was_released = true;
    });
    promise.set_result(1);
    waiter.join();
    BOOST_TEST(was_released);
}

BOOST_AUTO_TEST_SUITE_END()
