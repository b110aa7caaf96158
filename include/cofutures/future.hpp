#pragma once

#include <cofutures/error.hpp>
#include <cofutures/export.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/await.hpp>
#include <cofutures/detail/continuation.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/deliver.hpp>
#include <cofutures/detail/done_callback.hpp>
#include <cofutures/detail/future_access.hpp>
#include <cofutures/detail/future_awaiter.hpp>
#include <cofutures/detail/initiate.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/type_label.hpp>
#include <cofutures/detail/work_guard.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/is_executor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <iosfwd>
#include <type_traits>
#include <utility>

namespace cofutures {

template <class T>
class Future;

/// Installs what is told of exceptions that no future can carry: those that done-callbacks throw.
///
/// The default writes one line to the standard error stream.
///
/// @param handler  Called on the thread where the exception was thrown; null restores the default.
/// @returns The handler that was installed before.
/// @thread_safety  Safe.
/// @python         the logger "concurrent.futures".
COFUTURES_EXPORT void (*set_callback_error_handler(void (*handler)(std::exception_ptr) noexcept
) noexcept)(std::exception_ptr) noexcept;

/// Installs what is told of exceptions that nobody ever looked at: the future that held one has
/// gone, and no `result()`, `exception()`, `co_await`, callback or continuation was told of it.
///
/// @param handler  Called on the thread where the last handle went, or where the call ended if
/// there
///                 was none; null, the default, for nobody.
/// @returns The handler that was installed before.
/// @thread_safety  Safe.
/// @python         none; as asyncio's "exception was never retrieved".
COFUTURES_EXPORT void (*set_unobserved_exception_handler(void (*handler)(std::exception_ptr
) noexcept) noexcept)(std::exception_ptr) noexcept;

/// The result of a call that runs elsewhere: a cheap, copyable handle on state that all copies
/// share.
///
/// One future blocks (`result`), calls back (`add_done_callback`), chains (`then`), and is an Asio
/// operation that can be awaited (`co_await future`).
///
/// @code{.cpp} run
/// cofutures::Promise<int> promise;
/// cofutures::Future<int> answer = promise.get_future();
/// answer.add_done_callback([](const cofutures::Future<int>& done) { std::cout << done << '\n'; });
/// auto text = answer.then([](int value) { return std::to_string(value); });
/// promise.set_result(42);
/// assert(answer.result() == 42);
/// assert(text.result() == "42");
/// @endcode
///
/// **T** may be void, a reference, move-only, without default constructor; it must be movable.
/// Equality and hash are by identity: copies are equal, two futures with the same value are not.
///
/// **Lifetime.** The state lives as long as a handle, a task or an outstanding operation needs it;
/// the value is destroyed with the last handle (and the Promise, if one made it). Any handle may be
/// destroyed at any time, the last one too: the call goes on and its result is dropped.
///
/// An execution context must live until the waits, callbacks and continuations on it have ended, or
/// were cancelled.
///
/// **Threads.** Callbacks and continuations run on the thread that ends the future, or on the one
/// that adds them if it is done already, unless an executor is given.
///
/// @tparam T       What the call returns.
/// @thread_safety  Distinct objects: safe. Shared objects: safe, but for assigning to a handle
/// while
///                 another thread uses that very handle.
/// @python         concurrent.futures.Future. Differences: a cancelled future is done for everyone
/// at
///                 once; an rvalue handle gives the value away.
template <class T>
class Future {
public:
    /// What the call returns.
    using value_type = T;

    /// Makes an empty handle; any call but `valid`, comparison and assignment throws
    /// InvalidStateError.
    Future() noexcept = default;

    Future(const Future& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) {
            state_->add_handle();
        }
    }
    Future(Future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    Future& operator=(const Future& other) noexcept {
        Future copy(other);
        std::swap(state_, copy.state_);
        return *this;
    }
    Future& operator=(Future&& other) noexcept {
        Future moved(std::move(other));
        std::swap(state_, moved.state_);
        return *this;
    }
    ~Future() {
        if (state_ != nullptr) {
            state_->release_handle();
        }
    }

    /// Says whether the handle has a state to ask.
    [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

    /// Cancels the call if it has not begun.
    ///
    /// The callable and its arguments are destroyed, then the future is done: waiting threads are
    /// set free and callbacks run, on this thread, before the call returns.
    ///
    /// @returns True if the future is cancelled, now or before, or another thread is just
    /// cancelling
    ///          it; false if it runs or is done.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     O(1) beside the callbacks.
    /// @python         Future.cancel().
    bool cancel() const { return state().cancel(); }

    /// Says whether the call was cancelled. A task that itself threw CancelledError was not.
    ///
    /// @throws InvalidStateError  on an empty handle.
    /// @python  Future.cancelled().
    [[nodiscard]] bool cancelled() const { return state().cancelled(); }

    /// Says whether the call is being run, and so cannot be cancelled.
    ///
    /// @throws InvalidStateError  on an empty handle.
    /// @python  Future.running().
    [[nodiscard]] bool running() const { return state().running(); }

    /// Says whether the call has ended or was cancelled.
    ///
    /// What the call wrote to memory is visible to whoever sees true.
    ///
    /// @throws InvalidStateError  on an empty handle.
    /// @python  Future.done().
    [[nodiscard]] bool done() const { return state().done(); }

    /// Waits for the call to end and gives its value.
    ///
    /// The value stays in the future: calling again gives it again, from any number of threads.
    ///
    /// Inside a task of a ThreadPoolExecutor, a call of the same pool that has not begun is run by
    /// this thread, here, so tasks of one pool may wait for each other. The same holds for all
    /// waits below, for chained futures, and for waits for several.
    ///
    /// @returns `const T&`, valid as long as a Future shares this state; T& for T&; nothing for
    /// void.
    /// @throws CancelledError     if the call was cancelled before it began.
    /// @throws InvalidStateError  on an empty handle, or if the value was moved out.
    /// @throws DeadlockError      if this is a task's wait that would close a cycle of waiting
    /// tasks.
    /// @throws (the call's own)   whatever the callable threw, the same object each time.
    /// @thread_safety  Shared objects: safe. What the call wrote is visible after the return.
    /// @complexity     O(1) beside the waiting; no allocation.
    /// @python         Future.result(). Difference: a reference, not a new owner.
    decltype(auto) result() const& {
        state().wait(detail::Deadline());
        return state_->value();
    }

    /// Waits for at most `timeout`.
    ///
    /// @param timeout  Longest wait on the steady clock; zero or less asks without blocking. A call
    ///                 that this thread runs here takes its time all the same.
    /// @throws TimeoutError  if the call is unfinished by then; it goes on.
    /// @throws (as result())
    /// @python  Future.result(timeout).
    template <class Rep, class Period>
    decltype(auto) result(std::chrono::duration<Rep, Period> timeout) const& {
        wait_or_throw(timeout);
        return state_->value();
    }

    /// Waits for the call to end and takes its value.
    ///
    /// The value is moved out if this is the only handle left, else copied; a move-only value is
    /// always moved (of a struct of such things is_move_only has to say that it is one). Once it
    /// was moved out, reading it again throws InvalidStateError.
    ///
    /// @returns T; T& for T&; nothing for void.
    /// @throws (as result() const&)
    /// @python  none.
    T result() && {
        state().wait(detail::Deadline());
        return state_->take();
    }

    /// Waits for at most `timeout`, then takes the value.
    template <class Rep, class Period>
    T result(std::chrono::duration<Rep, Period> timeout) && {
        wait_or_throw(timeout);
        return state_->take();
    }

    /// Waits for the call to end and gives what it threw.
    ///
    /// @returns Null if it returned.
    /// @throws CancelledError     if it was cancelled.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  Shared objects: safe; all threads get the same exception object.
    /// @python         Future.exception().
    [[nodiscard]] std::exception_ptr exception() const {
        state().wait(detail::Deadline());
        return state_->error();
    }

    /// Waits for at most `timeout`.
    ///
    /// @throws TimeoutError  if the call is unfinished by then.
    /// @throws (as exception())
    template <class Rep, class Period>
    [[nodiscard]] std::exception_ptr exception(std::chrono::duration<Rep, Period> timeout) const {
        wait_or_throw(timeout);
        return state_->error();
    }

    /// Waits for the call to end, whatever it ends with.
    ///
    /// @returns True.
    /// @throws InvalidStateError  on an empty handle; never for what the task did.
    /// @throws DeadlockError      as result().
    bool wait() const { return state().wait(detail::Deadline()); }

    /// Waits for at most `timeout`.
    ///
    /// @returns Whether the future is done.
    /// @throws InvalidStateError  on an empty handle; never for what the task did.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
        return state().wait(detail::deadline_after(timeout));
    }

    /// Has `fn` called once the future is done; at once, on this thread, if it is done already.
    ///
    /// Callbacks run in the order added, each once, on the thread that ends the future, after the
    /// threads that wait for it have been set free and never under a lock. What one throws goes to
    /// the handler of set_callback_error_handler(), and the next one runs.
    ///
    /// @param fn  Called as `fn(const Future<T>&)` or `fn()`; destroyed after the call.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     O(1), one allocation.
    /// @python         Future.add_done_callback(fn).
    template <class Fn>
    requires std::is_invocable_v < Fn&, const Future<T>
    & > || std::is_invocable_v<Fn&> void add_done_callback(Fn fn) const {
        detail::when_done(state(), [fn = std::move(fn)](detail::StateBase& done) mutable {
            call_back(fn, Future(static_cast<detail::State<T>&>(done)));
        });
    }

    /// Has `fn` called on an Asio executor once the future is done, never inside this call.
    ///
    /// The executor is kept from running out of work until then.
    ///
    /// @param executor  Any Asio executor: of an io_context, a strand, a pool.
    /// @param fn        Called as `fn(const Future<T>&)` or `fn()`.
    /// @throws InvalidStateError  on an empty handle.
    template <class AsioExecutor, class Fn>
    requires boost::asio::is_executor<AsioExecutor>::value ||
        boost::asio::execution::is_executor<AsioExecutor>::value void
        add_done_callback(const AsioExecutor& executor, Fn fn) const {
        detail::when_done(
            state(),
            [fn = std::move(fn),
             work = detail::WorkGuard<AsioExecutor>(executor)](detail::StateBase& done) mutable {
                auto call = [fn = std::move(fn),
                             future = Future(static_cast<detail::State<T>&>(done))]() mutable {
                    detail::run_reporting_errors([&] { call_back(fn, future); });
                };
                detail::post_to(work.get_executor(), std::move(call));
            }
        );
    }

    /// Chains a function on the value.
    ///
    /// `fn` runs as a callback does. If this future fails or is cancelled so does the new one, and
    /// `fn` is destroyed unused. Cancelling the new future does not cancel this one. A chain of any
    /// length needs no more stack than one link.
    ///
    /// @param fn  Called once as `fn(value)`, or `fn()` for void, as an rvalue. It may take the
    ///            value by value, reference to const, or rvalue reference; it is moved when nothing
    ///            else can read it, or when it can only be moved. A generic function (`auto&&`) has
    ///            to compile with a reference to const, too, unless the value can only be moved.
    /// @returns A future of what `fn` returns or throws.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     O(1), one allocation.
    /// @python         none.
    template <class Fn>
    auto then(Fn fn) const -> Future<detail::ThenValue<Fn, T>> {
        return chain<detail::ThenValue<Fn, T>>(detail::ThenStep<Fn, T>{std::move(fn)});
    }

    /// Chains a function that runs on an Asio executor.
    ///
    /// The executor is kept from running out of work until the function has run or its future was
    /// cancelled; if it drops the function the new future fails with BrokenExecutor.
    template <class AsioExecutor, class Fn>
    requires boost::asio::is_executor<AsioExecutor>::value ||
        boost::asio::execution::is_executor<AsioExecutor>::value auto
        then(const AsioExecutor& executor, Fn fn) const -> Future<detail::ThenValue<Fn, T>> {
        return chain<detail::ThenValue<Fn, T>>(detail::ThenStep<Fn, T>{std::move(fn)}, executor);
    }

    /// Chains a function that replaces an error by a value.
    ///
    /// A value passes by, and so does a cancellation: that is no error of the call.
    ///
    /// @param fn  Called once as `fn(std::exception_ptr)`, returns what converts to T, or throws.
    /// @returns A new Future<T>.
    /// @throws InvalidStateError  on an empty handle.
    template <class Fn>
    requires std::is_invocable_r_v<T, Fn, std::exception_ptr> Future or_else(Fn fn)
    const { return chain<T>(detail::OrElseStep<Fn, T>{std::move(fn)}); }

    /// Chains a function that replaces an error by a value and runs on an Asio executor.
    template <class AsioExecutor, class Fn>
    requires(
        boost::asio::is_executor<AsioExecutor>::value ||
        boost::asio::execution::is_executor<AsioExecutor>::value
    ) && std::is_invocable_r_v<T, Fn, std::exception_ptr> Future
        or_else(const AsioExecutor& executor, Fn fn) const {
        return chain<T>(detail::OrElseStep<Fn, T>{std::move(fn)}, executor);
    }

    /// Asks the call's std::stop_token to stop.
    ///
    /// A callable whose first parameter is std::stop_token gets one; it decides what to do. A call
    /// that has not begun finds the request when it begins.
    ///
    /// @returns True if the call takes a token and is not done.
    /// @throws InvalidStateError  on an empty handle.
    /// @python  none.
    bool request_stop() const { return state().request_stop(); }

    /// Waits as an Asio operation; never touches the value.
    ///
    /// The operation can be cancelled through the handler's cancellation slot (terminal, partial,
    /// total): it then completes with `asio::error::operation_aborted`, leaves nothing behind in
    /// the future, and the call goes on. The handler's executor runs the handler, never inside this
    /// call, and is kept from running out of work meanwhile.
    ///
    /// @param token  Completion token for `void(boost::system::error_code)`.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  Shared objects: safe. One handler's slot and signal belong to one thread or
    ///                 strand, as everywhere in Asio.
    template <
        boost::asio::completion_token_for<void(boost::system::error_code)> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto async_wait(CompletionToken&& token = CompletionToken()) const {
        return boost::asio::async_initiate<CompletionToken, void(boost::system::error_code)>(
            detail::InitiateWait(), token, checked()
        );
    }

    /// Waits as async_wait(), for at most `timeout`: completes with `asio::error::timed_out` then.
    ///
    /// The timer runs on the handler's executor, or on Asio's system executor if that one has no
    /// context for timers. Zero or less asks whether it is done.
    ///
    /// @throws InvalidStateError  on an empty handle.
    template <
        class Rep,
        class Period,
        boost::asio::completion_token_for<void(boost::system::error_code)> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto async_wait_for(
        std::chrono::duration<Rep, Period> timeout, CompletionToken&& token = CompletionToken()
    ) const {
        return boost::asio::async_initiate<CompletionToken, void(boost::system::error_code)>(
            detail::InitiateTimedWait(detail::Timeout::of(timeout)), token, checked()
        );
    }

    /// Waits as an Asio operation and gives the value, as result() of an rvalue handle does.
    ///
    /// The signature is `void(std::exception_ptr, T)`; `void(std::exception_ptr)` for void. A T
    /// that cannot be made without a value arrives as `std::optional<T>`, a reference as
    /// `Reference<T>`. Cancellation as for async_wait(), with a boost::system::system_error as the
    /// exception.
    ///
    /// @param token  Completion token; by default the operation is an `asio::awaitable`.
    /// @throws InvalidStateError  on an empty handle.
    template <
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result(CompletionToken&& token = CompletionToken()) const& {
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateResult(), token, Future(checked())
            );
    }
    template <
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result(CompletionToken&& token = CompletionToken()) && {
        state();
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateResult(), token, std::move(*this)
            );
    }

    /// Waits as async_result(), for at most `timeout`: the exception is a TimeoutError then.
    ///
    /// The call goes on, and the value stays in the future. The time begins to run when the
    /// operation is started: with a lazy token, such as `deferred`, that is later than this call.
    /// The timer runs on the handler's executor, or on Asio's system executor if that one has no
    /// context for timers; threads may run it concurrently. Nothing of operation or timer is left
    /// when the handler runs. Zero or less asks whether it is done.
    ///
    /// @param timeout  Longest wait on the steady clock.
    /// @param token    As for async_result(), which says what else it completes with.
    /// @throws InvalidStateError  on an empty handle.
    /// @thread_safety  As for async_wait().
    /// @complexity     One allocation beside the timer's, and one for a cancellation slot.
    /// @python         asyncio.wait_for(), which cancels what it waits for.
    template <
        class Rep,
        class Period,
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result_for(
        std::chrono::duration<Rep, Period> timeout, CompletionToken&& token = CompletionToken()
    ) const& {
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateTimedResult(detail::Timeout::of(timeout)), token, Future(checked())
            );
    }
    template <
        class Rep,
        class Period,
        boost::asio::completion_token_for<typename detail::ResultSignature<T>::type>
            CompletionToken = boost::asio::use_awaitable_t<>>
    auto async_result_for(
        std::chrono::duration<Rep, Period> timeout, CompletionToken&& token = CompletionToken()
    ) && {
        state();
        return boost::asio::
            async_initiate<CompletionToken, typename detail::ResultSignature<T>::type>(
                detail::InitiateTimedResult(detail::Timeout::of(timeout)), token, std::move(*this)
            );
    }

    /// Waits in a coroutine that is not Asio's, and gives the value, as result() of an rvalue
    /// handle does.
    ///
    /// `co_await future` resumes the coroutine on the thread that ends the future, after its
    /// callbacks; at once if it is done. In an `asio::awaitable` the same words mean Asio's
    /// operation, which resumes on the coroutine's executor. In an `asio::experimental::coro` write
    /// `co_await std::move(future)`: it takes an lvalue for an operation that only waits.
    ///
    /// The frame may be destroyed while it waits: the future forgets it. As with any coroutine,
    /// that must not happen while another thread is resuming it.
    ///
    /// @throws InvalidStateError  on an empty handle.
    /// @throws (as result())
    /// @thread_safety  Shared objects: safe.
    /// @complexity     One allocation, unless it is done.
    /// @python         none.
    auto operator co_await() const& { return detail::FutureAwaiter<Future>(checked()); }
    auto operator co_await() && {
        state();
        return detail::FutureAwaiter<Future>(std::move(*this));
    }

    /// A future is an asynchronous operation: same as async_result().
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

    /// Two handles are equal if they share their state, or are both empty.
    friend bool operator==(const Future& a, const Future& b) noexcept {
        return a.state_ == b.state_;
    }

    /// Writes Python's repr, such as `<Future at 0x7f.. state=finished returned int>`.
    friend std::ostream& operator<<(std::ostream& out, const Future& future) {
        future.state().describe(out, detail::type_label<T>());
        return out;
    }

private:
    friend struct detail::FutureAccess;
    friend struct std::hash<Future>;
    template <class U>
    friend class Future;

    explicit Future(detail::State<T>& state) noexcept : state_(&state) { state_->add_handle(); }
    Future(detail::State<T>& state, detail::FirstHandle /*tag*/) noexcept : state_(&state) {
        state_->add_first_handle();
    }

    detail::State<T>& state() const {
        if (state_ == nullptr) {
            throw InvalidStateError("the future is empty: it was default-constructed or moved from"
            );
        }
        return *state_;
    }

    const Future& checked() const {
        state();
        return *this;
    }

    template <class Rep, class Period>
    void wait_or_throw(std::chrono::duration<Rep, Period> timeout) const {
        if (!wait_for(timeout)) {
            throw TimeoutError();
        }
    }

    template <class Fn>
    static void call_back(Fn& fn, const Future& future) {
        if constexpr (std::is_invocable_v<Fn&, const Future&>) {
            std::invoke(fn, future);
        } else {
            std::invoke(fn);
        }
    }

    template <class U, class Step>
    Future<U> chain(Step step) const {
        return start(new detail::Continuation<U, T, Step>(state(), std::move(step)));
    }

    template <class U, class Step, class AsioExecutor>
    Future<U> chain(Step step, const AsioExecutor& executor) const {
        return start(
            new detail::ContinuationOn<U, T, Step, AsioExecutor>(state(), std::move(step), executor)
        );
    }

    template <class ContinuationType>
    static auto start(ContinuationType* continuation) {
        auto future = detail::FutureAccess::make_first(*continuation);
        continuation->start();
        return future;
    }

    detail::State<T>* state_ = nullptr;
};

}  // namespace cofutures

/// Hash by identity: equal handles hash alike.
template <class T>
struct std::hash<cofutures::Future<T>> {
    std::size_t operator()(const cofutures::Future<T>& future) const noexcept {
        return std::hash<const void*>()(future.state_);
    }
};

// What else this header gives.
#include <cofutures/cancel_on_abort.hpp>
#include <cofutures/promise.hpp>
