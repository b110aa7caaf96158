#pragma once

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/state.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cofutures {

/// Type of the completion token `as_future`.
class AsFuture {
public:
    constexpr AsFuture() = default;

    /// An executor that makes `as_future` the default token of the I/O objects on it.
    template <class InnerExecutor>
    struct executor_with_default : InnerExecutor {
        using default_completion_token_type = AsFuture;

        // Converts from what the inner executor does; the comparison comes first, so that the
        // conversion of the very same type is not asked for while this one is being defined.
        template <class OtherExecutor>
        requires std::conjunction_v<
            std::negation<std::is_same<OtherExecutor, executor_with_default>>,
            std::is_convertible<OtherExecutor, InnerExecutor>>
        executor_with_default(  // NOLINT(google-explicit-constructor): as executors convert
            const OtherExecutor& executor
        )
        noexcept : InnerExecutor(executor) {}
    };

    /// The type of an I/O object with `as_future` as its default token.
    template <class T>
    using as_default_on_t = typename T::template rebind_executor<
        executor_with_default<typename T::executor_type>>::other;

    /// Makes `as_future` the default token of an I/O object.
    ///
    /// `auto timer = cofutures::as_future.as_default_on(asio::steady_timer(io, 1s));` and then
    /// `Future<void> tick = timer.async_wait();`
    template <class T>
    static as_default_on_t<std::decay_t<T>> as_default_on(T&& object) {
        return as_default_on_t<std::decay_t<T>>(std::forward<T>(object));
    }
};

/// Completion token: has any Asio operation give a future.
///
/// @code{.cpp} run
/// #include <cofutures/as_future.hpp>
/// #include <boost/asio/io_context.hpp>
/// #include <boost/asio/steady_timer.hpp>
/// asio::io_context context;
/// asio::steady_timer timer(context, std::chrono::milliseconds(1));
/// cofutures::Future<void> tick = timer.async_wait(cofutures::as_future);
/// context.run();
/// assert(tick.exception() == nullptr);
/// @endcode
///
/// A leading `error_code` becomes a `boost::system::system_error`, a leading `std::exception_ptr`
/// is thrown; what follows is the value: none gives Future<void>, one Future<T>, several
/// `Future<std::tuple<...>>`. If the operation is dropped without completing, as its context was
/// destroyed, the future fails with BrokenExecutor. Other tokens' adapters work around it:
/// `bind_executor(strand, as_future)`, `as_tuple(as_future)`, `bind_cancellation_slot(slot,
/// as_future)`.
///
/// **Blocking** in `result()` on the only thread that runs the context never ends, as with
/// `use_future`. The future's callbacks run where the handler of the operation runs.
///
/// **Cancelling.** `cancel()` ends the future, at once and from any thread; the operation goes on
/// and its result is dropped. It does not cancel the operation: that must happen on the executor of
/// the I/O object and while that object lives, and a future knows neither. Bind a slot for it,
/// `bind_cancellation_slot(signal.slot(), as_future)`, or call the object's own `cancel()`.
///
/// @thread_safety  Safe.
/// @complexity     One allocation beside the operation's own.
/// @python         asyncio.run_coroutine_threadsafe() comes near.
inline constexpr AsFuture as_future;

namespace detail {

/// The T of the Future<T> that such values give.
template <class... Values>
struct ValueOf {
    using type = std::tuple<std::decay_t<Values>...>;
};
template <class Value>
struct ValueOf<Value> {
    using type = std::decay_t<Value>;
};
template <>
struct ValueOf<> {
    using type = void;
};

/// The same for the arguments of a completion handler.
template <class... Args>
struct CompletionValue : ValueOf<Args...> {};
template <class... Values>
struct CompletionValue<boost::system::error_code, Values...> : ValueOf<Values...> {};
template <class... Values>
struct CompletionValue<std::exception_ptr, Values...> : ValueOf<Values...> {};

/// The completion handler that ends a future. `Args` are those of the operation's signature.
template <class T, class... Args>
class FutureHandler {
public:
    explicit FutureHandler(boost::intrusive_ptr<State<T>> state) noexcept
        : state_(std::move(state)) {}
    FutureHandler(FutureHandler&&) noexcept = default;
    FutureHandler& operator=(FutureHandler&&) = delete;
    ~FutureHandler() {
        if (state_ != nullptr) {
            state_->abandon(detail::make_error<BrokenExecutor>(
                "abandoned: the operation was dropped before it completed"
            ));
        }
    }

    void operator()(Args... args) {
        const auto state = std::exchange(state_, nullptr);
        if (state->try_claim()) {
            complete(*state, std::forward<Args>(args)...);
        }
    }

private:
    static void complete(State<T>& state) { finish(state); }

    template <class First, class... Values>
    static void complete(State<T>& state, First&& first, Values&&... values) {
        if constexpr (std::is_same_v<std::decay_t<First>, boost::system::error_code>) {
            if (first) {
                state.finish_with_error(detail::make_error<boost::system::system_error>(first));
                return;
            }
            finish(state, std::forward<Values>(values)...);
        } else if constexpr (std::is_same_v<std::decay_t<First>, std::exception_ptr>) {
            if (first) {
                state.finish_with_error(std::forward<First>(first));
                return;
            }
            finish(state, std::forward<Values>(values)...);
        } else {
            finish(state, std::forward<First>(first), std::forward<Values>(values)...);
        }
    }

    template <class... Values>
    static void finish(State<T>& state, Values&&... values) noexcept {
        try {
            state.finish(std::forward<Values>(values)...);
        } catch (...) {
            state.finish_with_error(std::current_exception());
        }
    }

    boost::intrusive_ptr<State<T>> state_;  // null when it was called, or moved from
};

}  // namespace detail
}  // namespace cofutures

template <class R, class... Args>
class boost::asio::async_result<cofutures::AsFuture, R(Args...)> {
    using Value = typename cofutures::detail::CompletionValue<std::decay_t<Args>...>::type;

public:
    using return_type = cofutures::Future<Value>;

    template <class Initiation, class... InitArgs>
    static return_type
    initiate(Initiation&& initiation, cofutures::AsFuture /*token*/, InitArgs&&... args) {
        const boost::intrusive_ptr state(new cofutures::detail::State<Value>);
        return_type future = cofutures::detail::FutureAccess::make_first(*state);
        std::forward<Initiation>(initiation
        )(cofutures::detail::FutureHandler<Value, Args...>(state), std::forward<InitArgs>(args)...);
        return future;
    }
};
