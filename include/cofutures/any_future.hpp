#pragma once

#include <cofutures/error.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/deliver.hpp>
#include <cofutures/detail/done_callback.hpp>
#include <cofutures/detail/state_base.hpp>
#include <cofutures/detail/type_label.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <iosfwd>
#include <string>
#include <type_traits>
#include <utility>

namespace cofutures {

class AnyFuture;

namespace detail {

template <class T>
StateBase& state_of(const Future<T>& future) {
    return FutureAccess::state(future);
}
COFUTURES_EXPORT StateBase& state_of(const AnyFuture& future);

}  // namespace detail

/// A Future<T> of any T, without the value: for waiting for futures of several types at once.
///
/// @code{.cpp} run
/// cofutures::Promise<int> number;
/// cofutures::Promise<std::string> text;
/// number.set_result(1);
/// text.set_result("one");
/// const std::vector<cofutures::AnyFuture> both{number.get_future(), text.get_future()};
/// assert(cofutures::wait(both).done.size() == 2);
/// @endcode
///
/// It is a handle like those it is made from: it keeps the value alive, and is equal to each.
///
/// @thread_safety  As for Future.
/// @python         concurrent.futures.Future, which has no type of its value.
class COFUTURES_EXPORT AnyFuture {
public:
    /// Makes an empty handle; any call but `valid`, comparison and assignment throws
    /// InvalidStateError.
    AnyFuture() noexcept = default;

    /// Makes another handle on a future's state; an empty one of an empty one.
    template <class T>
    AnyFuture(const Future<T>& future)  // NOLINT(google-explicit-constructor): is a future
        : AnyFuture(state_or_null(future), &detail::type_label<T>) {}

    AnyFuture(const AnyFuture& other) noexcept : AnyFuture(other.state_, other.label_) {}
    AnyFuture(AnyFuture&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), label_(other.label_) {}
    AnyFuture& operator=(const AnyFuture& other) noexcept { return *this = AnyFuture(other); }
    AnyFuture& operator=(AnyFuture&& other) noexcept {
        AnyFuture moved(std::move(other));
        std::swap(state_, moved.state_);
        std::swap(label_, moved.label_);
        return *this;
    }
    ~AnyFuture() {
        if (state_ != nullptr) {
            state_->release_handle();
        }
    }

    /// As Future's functions of these names.
    [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
    bool cancel() const { return state().cancel(); }
    [[nodiscard]] bool cancelled() const { return state().cancelled(); }
    [[nodiscard]] bool running() const { return state().running(); }
    [[nodiscard]] bool done() const { return state().done(); }
    bool request_stop() const { return state().request_stop(); }
    bool wait() const { return state().wait(detail::Deadline()); }
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
        return state().wait(detail::deadline_after(timeout));
    }
    [[nodiscard]] std::exception_ptr exception() const {
        wait();
        return state_->error();
    }
    template <class Rep, class Period>
    [[nodiscard]] std::exception_ptr exception(std::chrono::duration<Rep, Period> timeout) const {
        if (!wait_for(timeout)) {
            throw TimeoutError();
        }
        return state_->error();
    }

    /// As Future::add_done_callback().
    ///
    /// @param fn  Called as `fn(const AnyFuture&)` or `fn()`; destroyed after the call.
    template <class Fn>
    requires std::is_invocable_v<Fn&, const AnyFuture&> || std::is_invocable_v<Fn&>
    void add_done_callback(Fn fn) const {
        if constexpr (std::is_invocable_v<Fn&, const AnyFuture&>) {
            detail::when_done(
                state(),
                [fn = std::move(fn), label = label_](detail::StateBase& done) mutable {
                    std::invoke(fn, AnyFuture(&done, label));
                }
            );
        } else {
            detail::when_done(state(), [fn = std::move(fn)](detail::StateBase&) mutable {
                std::invoke(fn);
            });
        }
    }

    /// As Future::async_wait().
    template <
        boost::asio::completion_token_for<void(boost::system::error_code)> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto async_wait(CompletionToken&& token = CompletionToken()) const {
        state();
        return boost::asio::async_initiate<CompletionToken, void(boost::system::error_code)>(
            [](auto handler, const AnyFuture& future) {
                using Operation =
                    detail::AsyncOperation<detail::DeliverDone, std::decay_t<decltype(handler)>>;
                Operation::start(future.state(), detail::DeliverDone(), std::move(handler));
            },
            token,
            *this
        );
    }

    /// Two handles, of either type, are equal if they share their state, or are both empty.
    friend bool operator==(const AnyFuture& a, const AnyFuture& b) noexcept {
        return a.state_ == b.state_;
    }

    /// Writes what the Future<T> writes, T's name included.
    friend COFUTURES_EXPORT std::ostream& operator<<(std::ostream& out, const AnyFuture& future);

private:
    friend COFUTURES_EXPORT detail::StateBase& detail::state_of(const AnyFuture& future);
    friend struct std::hash<AnyFuture>;

    using Label = std::string (*)();

    AnyFuture(detail::StateBase* state, Label label) noexcept : state_(state), label_(label) {
        if (state_ != nullptr) {
            state_->add_handle();
        }
    }

    template <class T>
    static detail::StateBase* state_or_null(const Future<T>& future) {
        return future.valid() ? &detail::FutureAccess::state(future) : nullptr;
    }

    detail::StateBase& state() const;

    detail::StateBase* state_ = nullptr;
    Label label_ = nullptr;  // names the value's type; set whenever state_ is
};

}  // namespace cofutures

/// Hash by identity: that of the Future<T> it is equal to.
template <>
struct std::hash<cofutures::AnyFuture> {
    std::size_t operator()(const cofutures::AnyFuture& future) const noexcept {
        return std::hash<const void*>()(future.state_);
    }
};
