#pragma once

#include <cofutures/future.hpp>
#include <cofutures/detail/make_error.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace cofutures {

/// The producer's end of a future: for authors of executors, and for tests.
///
/// @code{.cpp} run
/// cofutures::Promise<std::string> promise;
/// auto greeting = promise.get_future();
/// if (promise.set_running_or_notify_cancel()) {
///     promise.set_result("hello");
/// }
/// assert(greeting.result() == "hello");
/// @endcode
///
/// Destroyed before it gave a result, it ends the future with BrokenExecutor("abandoned").
///
/// @tparam T       As for Future.
/// @thread_safety  Distinct objects: safe. Shared objects: safe, but for moving and destroying.
/// @python         the second half of concurrent.futures.Future, that only executors may call.
template <class T>
class Promise {
public:
    /// Makes a pending future.
    Promise() : state_(new detail::State<T>) { state_->keep_value(); }
    Promise(Promise&& other) noexcept = default;
    Promise& operator=(Promise&& other) noexcept {
        Promise moved(std::move(other));
        state_.swap(moved.state_);
        return *this;
    }
    ~Promise() {
        if (state_ != nullptr) {
            abandon();
            state_->let_value_go();
        }
    }

    /// A handle on the future; any number of times, also after it is done.
    ///
    /// @throws InvalidStateError  on a moved-from promise.
    [[nodiscard]] Future<T> get_future() const { return detail::FutureAccess::make(state()); }

    /// Claims the work before running it.
    ///
    /// @returns True: it is running now, and can no longer be cancelled. False: it was cancelled;
    /// do
    ///          not run it.
    /// @throws InvalidStateError  from any state but pending or cancelled, and on a second call.
    /// @python  Future.set_running_or_notify_cancel(). Difference: those who wait for a cancelled
    ///          future need not be told by this call; they were told by cancel().
    bool set_running_or_notify_cancel() { return state().set_running_or_notify_cancel(); }

    /// Ends the future with a value.
    ///
    /// Threads that wait are set free, then callbacks run, on this thread, before it returns.
    ///
    /// @param value  Converted to T; for T& the object to refer to; none for void.
    /// @throws InvalidStateError  if the future is done or being completed.
    /// @throws (T's own)          what its constructor throws; the future then holds that
    /// exception.
    /// @python  Future.set_result(result).
    template <class U = T>
    requires(!std::is_reference_v<T> && !std::is_void_v<T> && std::is_constructible_v<T, U&&>) void set_result(
        U&& value
    ) {
        complete([&](detail::State<T>& state) { state.finish(std::forward<U>(value)); });
    }
    template <class U>
    requires(std::is_lvalue_reference_v<T>&& std::is_convertible_v<U&, T>) void set_result(U& value
    ) {
        complete([&](detail::State<T>& state) { state.finish(value); });
    }
    void set_result() requires std::is_void_v<T> {
        complete([](detail::State<T>& state) { state.finish(); });
    }

    /// Ends the future with an exception.
    ///
    /// @param error  Not null.
    /// @throws InvalidStateError      if the future is done or being completed.
    /// @throws std::invalid_argument  if `error` is null.
    /// @python  Future.set_exception(exception).
    void set_exception(std::exception_ptr error) {
        if (error == nullptr) {
            throw std::invalid_argument("set_exception: the exception must not be null");
        }
        const boost::intrusive_ptr<detail::State<T>> keep(&state());
        keep->begin_completion();
        keep->finish_with_error(std::move(error));
    }

private:
    detail::State<T>& state() const {
        if (state_ == nullptr) {
            throw InvalidStateError("the promise was moved from");
        }
        return *state_;
    }

    template <class Finish>
    void complete(Finish finish) {
        const boost::intrusive_ptr<detail::State<T>> keep(&state()
        );  // a callback may destroy *this
        keep->begin_completion();
        try {
            finish(*keep);
        } catch (...) {
            keep->finish_with_error(std::current_exception());
            throw;
        }
    }

    void abandon() noexcept {
        if (state_->try_begin_completion()) {
            state_->finish_with_error(detail::make_error<BrokenExecutor>("abandoned"));
        }
    }

    boost::intrusive_ptr<detail::State<T>> state_;
};

}  // namespace cofutures
