#include <cofutures/any_future.hpp>

#define BOOST_TEST_MODULE any_future
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <utility>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

static_assert(std::is_nothrow_default_constructible_v<AnyFuture>);
static_assert(std::is_nothrow_move_constructible_v<AnyFuture>);
static_assert(std::is_convertible_v<Future<void>, AnyFuture>);
static_assert(std::is_convertible_v<Future<int&>, AnyFuture>);
static_assert(std::is_convertible_v<Future<std::unique_ptr<int>>, AnyFuture>);
static_assert(!std::is_convertible_v<AnyFuture, Future<int>>);
static_assert(!std::is_convertible_v<int, AnyFuture>);

template <class T>
std::string text_of(const T& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(any_future)

BOOST_AUTO_TEST_CASE(empty_one_refuses_all_but_a_few_calls) {
    const AnyFuture empty;
    BOOST_TEST(!empty.valid());
    BOOST_TEST(!AnyFuture(Future<int>()).valid());
    BOOST_CHECK(empty == AnyFuture(Future<int>()));
    BOOST_CHECK_THROW(static_cast<void>(empty.done()), InvalidStateError);
    BOOST_CHECK_THROW(empty.cancel(), InvalidStateError);
    BOOST_CHECK_THROW(empty.wait(), InvalidStateError);
    BOOST_CHECK_THROW(empty.wait_for(0s), InvalidStateError);
    BOOST_CHECK_THROW(static_cast<void>(empty.exception()), InvalidStateError);
    BOOST_CHECK_THROW(empty.add_done_callback([] {}), InvalidStateError);
    BOOST_CHECK_THROW(text_of(empty), InvalidStateError);
    BOOST_CHECK_THROW(empty.async_wait([](boost::system::error_code) {}), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(asks_and_changes_the_same_state) {
    Promise<std::string> promise;
    const auto future = promise.get_future();
    const AnyFuture any = future;
    BOOST_TEST(!any.done());
    BOOST_TEST(!any.wait_for(0s));
    BOOST_CHECK_THROW(static_cast<void>(any.exception(0s)), TimeoutError);
    BOOST_TEST(!any.request_stop());
    promise.set_running_or_notify_cancel();
    BOOST_TEST(any.running());
    BOOST_TEST(!any.cancel());
    promise.set_exception(std::make_exception_ptr(std::out_of_range("out")));
    BOOST_TEST(any.done());
    BOOST_TEST(any.wait());
    BOOST_CHECK_THROW(std::rethrow_exception(any.exception()), std::out_of_range);
    BOOST_CHECK_THROW(std::rethrow_exception(any.exception(1s)), std::out_of_range);
}

BOOST_AUTO_TEST_CASE(cancels_for_all_handles) {
    Promise<void> promise;
    const auto future = promise.get_future();
    BOOST_TEST(AnyFuture(future).cancel());
    BOOST_TEST(future.cancelled());
    BOOST_TEST(AnyFuture(future).cancelled());
    BOOST_CHECK_THROW(static_cast<void>(AnyFuture(future).exception()), CancelledError);
}

BOOST_AUTO_TEST_CASE(exception_is_null_when_the_call_returned) {
    Promise<int> promise;
    std::thread producer([&] { promise.set_result(1); });
    BOOST_CHECK(AnyFuture(promise.get_future()).exception() == nullptr);
    producer.join();
}

BOOST_AUTO_TEST_CASE(calls_back_with_itself_or_nothing) {
    Promise<int> promise;
    const auto future = promise.get_future();
    int calls = 0;
    const AnyFuture any = future;
    any.add_done_callback([&](const AnyFuture& done) { calls += done == future ? 1 : 0; });
    any.add_done_callback([&, alone = std::make_unique<int>(1)] { calls += *alone; });
    BOOST_TEST(calls == 0);
    promise.set_result(1);
    BOOST_TEST(calls == 2);
    any.add_done_callback([&] { ++calls; });
    BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_CASE(compares_and_hashes_by_identity) {
    Promise<int> one;
    Promise<std::string> two;
    const auto a = one.get_future();
    const auto b = two.get_future();
    BOOST_CHECK(AnyFuture(a) == AnyFuture(one.get_future()));
    BOOST_CHECK(AnyFuture(a) == a);
    BOOST_CHECK(a == AnyFuture(a));
    BOOST_CHECK(AnyFuture(a) != AnyFuture(b));
    BOOST_CHECK(a != AnyFuture(b));
    const std::unordered_set<AnyFuture> set{a, b, a, b};
    BOOST_TEST(set.size() == 2u);
    BOOST_CHECK(std::hash<AnyFuture>()(a) == std::hash<Future<int>>()(a));
}

BOOST_AUTO_TEST_CASE(writes_what_the_future_writes) {
    Promise<int&> promise;
    const auto future = promise.get_future();
    BOOST_TEST(text_of(AnyFuture(future)) == text_of(future));
    int value = 0;
    promise.set_result(value);
    BOOST_TEST(text_of(AnyFuture(future)) == text_of(future));
    BOOST_TEST(text_of(AnyFuture(future)).find("returned int&") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(is_a_handle_that_keeps_the_value) {
    ObjectCounts counts;
    AnyFuture any;
    {
        Promise<Observed> promise;
        any = promise.get_future();
        promise.set_result(Observed(counts));
    }
    AnyFuture copy = any;
    AnyFuture moved = std::move(any);
    BOOST_TEST(!any.valid());  // NOLINT(bugprone-use-after-move)
    copy = AnyFuture();
    BOOST_TEST(counts.live() == 1);
    moved = AnyFuture();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(is_waited_for_as_an_asio_operation) {
    asio::io_context context;
    Promise<int> promise;
    int calls = 0;
    AnyFuture(promise.get_future())
        .async_wait(asio::bind_executor(context, [&](boost::system::error_code error) {
            calls += error ? 0 : 1;
        }));
    promise.set_result(1);
    BOOST_TEST(calls == 0);
    context.run();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_SUITE_END()
