#include <cofutures/as_future.hpp>

#define BOOST_TEST_MODULE as_future
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/object_observer.hpp"

#include <cofutures/when_all.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::an_error;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheck;
using cofutures::test::NoDefault;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// An operation that completes at once with what it is given.
template <class Signature, class Token, class... Args>
auto complete(Token&& token, Args&&... args) {
    return asio::async_initiate<Token, Signature>(
        [](auto handler, auto&&... values) {
            std::move(handler)(std::forward<decltype(values)>(values)...);
        },
        token,
        std::forward<Args>(args)...
    );
}

// One that never completes, and drops its handler.
template <class Signature, class Token>
auto never_complete(Token&& token) {
    return asio::async_initiate<Token, Signature>([](auto&&) {}, token);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(as_future_token)

BOOST_AUTO_TEST_CASE(gives_void_a_value_or_a_tuple) {
    Future<void> none = complete<void()>(as_future);
    Future<void> done = complete<void(error_code)>(as_future, error_code());
    Future<int> one = complete<void(int)>(as_future, 1);
    Future<std::size_t> size =
        complete<void(error_code, std::size_t)>(as_future, error_code(), std::size_t(2));
    Future<std::tuple<int, std::string>> two =
        complete<void(std::exception_ptr, int, std::string)>(as_future, nullptr, 3, "three");
    Future<std::tuple<int, error_code>> code_behind =
        complete<void(int, error_code)>(as_future, 4, asio::error::fault);
    none.result();
    done.result();
    BOOST_TEST(one.result() == 1);
    BOOST_TEST(size.result() == 2u);
    BOOST_TEST(std::get<1>(two.result()) == "three");
    BOOST_TEST(std::get<1>(code_behind.result()) == asio::error::fault);
}

BOOST_AUTO_TEST_CASE(gives_values_that_only_move_or_cannot_be_made_from_nothing) {
    Future<std::unique_ptr<int>> moved = complete<void(error_code, std::unique_ptr<int>)>(
        as_future, error_code(), std::make_unique<int>(1)
    );
    Future<NoDefault> no_default =
        complete<void(std::exception_ptr, NoDefault)>(as_future, nullptr, NoDefault(2));
    BOOST_TEST(*moved.result() == 1);
    BOOST_TEST(no_default.result().value == 2);
}

BOOST_AUTO_TEST_CASE(turns_errors_into_exceptions) {
    const Future<int> code =
        complete<void(error_code, int)>(as_future, asio::error::connection_reset, 0);
    BOOST_CHECK_EXCEPTION(code.result(), boost::system::system_error, [](const auto& error) {
        return error.code() == asio::error::connection_reset;
    });
    const Future<void> thrown = complete<void(std::exception_ptr)>(as_future, an_error());
    BOOST_CHECK_THROW(thrown.result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(value_that_cannot_be_moved_in_is_the_error) {
    struct Fragile {
        Fragile() = default;
        Fragile(const Fragile&) = default;
        Fragile(Fragile&& other) : fails(other.fails - 1) {
            if (fails == 0) {
                throw std::runtime_error("move");
            }
        }
        int fails = 2;
    };
    const Future<Fragile> future = complete<void(Fragile)>(as_future, Fragile());
    BOOST_CHECK_THROW(future.result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(breaks_the_future_of_an_operation_that_is_dropped) {
    BOOST_CHECK_THROW(never_complete<void(int)>(as_future).result(), BrokenExecutor);
    Future<void> tick;
    {
        asio::io_context context;
        asio::steady_timer timer(context, 1h);
        tick = timer.async_wait(as_future);
        BOOST_TEST(!tick.done());
    }
    BOOST_CHECK_EXCEPTION(tick.result(), BrokenExecutor, [](const Error& error) {
        return std::string(error.what()).starts_with("abandoned");
    });
}

BOOST_AUTO_TEST_CASE(waits_for_timers_pipes_coroutines_and_posts) {
    asio::thread_pool threads(1);
    asio::steady_timer timer(threads, 1ms);
    asio::readable_pipe in(threads);
    asio::writable_pipe out(threads);
    asio::connect_pipe(in, out);
    std::array<char, 3> text{};
    const Future<void> tick = timer.async_wait(as_future);
    const Future<std::size_t> read = asio::async_read(in, asio::buffer(text), as_future);
    const Future<std::size_t> written =
        asio::async_write(out, asio::buffer(std::string_view("abc")), as_future);
    const Future<int> spawned = asio::co_spawn(
        threads, []() -> asio::awaitable<int> { co_return 4; }, as_future
    );
    const Future<void> posted = asio::post(threads, as_future);
    when_all(tick, read, written, spawned, posted).result();
    BOOST_TEST(read.result() == 3u);
    BOOST_TEST(std::string(text.data(), 3) == "abc");
    BOOST_TEST(spawned.result() == 4);
    threads.join();
}

BOOST_AUTO_TEST_CASE(works_inside_adapters_and_behind_deferred) {
    asio::io_context context;
    asio::cancellation_signal signal;
    asio::steady_timer timer(context, 1h);
    const Future<void> bound = timer.async_wait(asio::bind_executor(context, as_future));
    const Future<void> cancelled =
        timer.async_wait(asio::bind_cancellation_slot(signal.slot(), as_future));
    signal.emit(asio::cancellation_type::terminal);
    context.poll();
    BOOST_TEST(is_aborted(cancelled.exception()));
    BOOST_TEST(!bound.done());
    timer.cancel();
    context.run();
    BOOST_TEST(is_aborted(bound.exception()));

    context.restart();
    timer.expires_after(0s);
    const Future<std::tuple<error_code>> tuple = timer.async_wait(asio::as_tuple(as_future));
    error_code code = asio::error::fault;
    const Future<void> redirected = timer.async_wait(asio::redirect_error(as_future, code));
    const Future<void> deferred = timer.async_wait(asio::deferred)(as_future);
    context.run();
    BOOST_TEST(!std::get<0>(tuple.result()));
    redirected.result();
    BOOST_TEST(!code);
    deferred.result();
}

BOOST_AUTO_TEST_CASE(can_be_an_object_s_default_token) {
    asio::io_context context;
    auto timer = as_future.as_default_on(asio::steady_timer(context, 1ms));
    static_assert(std::is_same_v<decltype(timer.async_wait()), Future<void>>);
    const Future<void> tick = timer.async_wait();
    context.run();
    tick.result();
    AsFuture::as_default_on_t<asio::steady_timer> other(context, 0ms);
    const Future<void> again = other.async_wait();
    context.restart();
    context.run();
    again.result();
}

BOOST_AUTO_TEST_CASE(can_be_awaited_chained_and_called_back) {
    asio::io_context context;
    asio::steady_timer timer(context, 1ms);
    const Future<void> tick = timer.async_wait(as_future);
    const Future<int> chained = tick.then([] { return 5; });
    bool on_context = false;
    tick.add_done_callback([&] { on_context = context.get_executor().running_in_this_thread(); });
    int seen = 0;
    cofutures::test::run(context, [&]() -> asio::awaitable<void> { seen = co_await chained; });
    BOOST_TEST(seen == 5);
    BOOST_TEST(on_context);
}

BOOST_AUTO_TEST_CASE(cancelled_future_drops_the_result_and_leaves_the_operation_alone) {
    asio::io_context context;
    asio::steady_timer timer(context, 1ms);
    const Future<void> tick = timer.async_wait(as_future);
    BOOST_TEST(tick.cancel());
    BOOST_TEST(tick.cancelled());
    BOOST_TEST(context.run() == 1u);  // the timer's handler, a millisecond later
    BOOST_TEST(tick.cancelled());
}

BOOST_AUTO_TEST_CASE(value_goes_with_the_last_handle) {
    ObjectCounts counts;
    {
        auto future = complete<void(Observed)>(as_future, Observed(counts));
        BOOST_TEST(counts.live() == 1);
    }
    BOOST_TEST(counts.live() == 0);
    static_cast<void>(complete<void(Observed)>(as_future, Observed(counts)));
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
