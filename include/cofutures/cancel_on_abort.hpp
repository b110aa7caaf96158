#pragma once

#include <cofutures/future.hpp>
#include <cofutures/detail/await.hpp>
#include <cofutures/detail/deliver.hpp>
#include <cofutures/detail/initiate.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <utility>

namespace cofutures {

/// A future as an Asio operation whose cancellation reaches the call; made by cancel_on_abort().
///
/// @tparam T       As for Future.
/// @thread_safety  As for Future.
template <class T>
class CancelOnAbort {
public:
    /// What the call returns.
    using value_type = T;

    /// Throws InvalidStateError on an empty handle.
    explicit CancelOnAbort(Future<T> future) : future_(std::move(future)) {
        static_cast<void>(future_.done());
    }

    /// As Future::async_result().
    template <
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result(CompletionToken&& token = CompletionToken()) const& {
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateCancellingResult(), token, Future<T>(future_)
            );
    }
    template <
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result(CompletionToken&& token = CompletionToken()) && {
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateCancellingResult(), token, std::move(future_)
            );
    }

    /// As Future::async_wait().
    template <
        boost::asio::completion_token_for<void(boost::system::error_code)> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto async_wait(CompletionToken&& token = CompletionToken()) const {
        return boost::asio::async_initiate<CompletionToken, void(boost::system::error_code)>(
            detail::InitiateCancellingWait(), token, future_
        );
    }

    /// It is an asynchronous operation: same as async_result().
    template <boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
                  CompletionToken>
    auto operator()(CompletionToken&& token) const& {
        return async_result(std::forward<CompletionToken>(token));
    }
    template <boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
                  CompletionToken>
    auto operator()(CompletionToken&& token) && {
        return std::move(*this).async_result(std::forward<CompletionToken>(token));
    }

    /// The future, such as for asking whether the call has stopped.
    [[nodiscard]] const Future<T>& future() const noexcept { return future_; }

private:
    friend struct detail::AwaitAccess;

    Future<T> future_;
};

/// Waits for a future so that cancelling the wait cancels the call.
///
/// An operation on a future leaves the call alone when it is cancelled, as others may wait for it.
/// This one calls Future::cancel() then, and Future::request_stop() if the call has begun already.
/// It completes with `operation_aborted` all the same, at once; it does not wait for the call to
/// stop.
///
/// @code{.cpp} run
/// #include <boost/asio/co_spawn.hpp>
/// #include <boost/asio/detached.hpp>
/// #include <boost/asio/experimental/awaitable_operators.hpp>
/// #include <boost/asio/io_context.hpp>
/// #include <boost/asio/steady_timer.hpp>
/// #include <boost/asio/use_awaitable.hpp>
/// using namespace asio::experimental::awaitable_operators;
/// cofutures::Promise<int> never_kept;
/// auto answer = never_kept.get_future();
/// asio::io_context context;
/// asio::co_spawn(
///     context,
///     [&]() -> asio::awaitable<void> {
///         asio::steady_timer timer(context, std::chrono::milliseconds(1));
///         co_await (
///             cofutures::cancel_on_abort(answer)(asio::use_awaitable) ||
///             timer.async_wait(asio::use_awaitable)
///         );
///     },
///     asio::detached
/// );
/// context.run();
/// assert(answer.cancelled());
/// @endcode
///
/// What cancel() sets free and calls back it does inside the emission of the signal, on that
/// thread. A chained future (`then`) does not pass a cancellation on to what it is chained on.
///
/// @returns An operation to be awaited in an `asio::awaitable`, `co_await cancel_on_abort(f)`, or
///          started with a token.
/// @throws InvalidStateError  on an empty handle.
/// @thread_safety  Safe.
/// @python         asyncio.wrap_future(), whose cancellation reaches the concurrent future too.
template <class T>
[[nodiscard]] CancelOnAbort<T> cancel_on_abort(Future<T> future) {
    return CancelOnAbort<T>(std::move(future));
}

}  // namespace cofutures
