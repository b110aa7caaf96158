#pragma once

#include <cofutures/detail/callback_error.hpp>
#include <cofutures/detail/future_access.hpp>
#include <cofutures/detail/state_base.hpp>

#include <atomic>
#include <coroutine>
#include <utility>

namespace cofutures::detail {

/// A coroutine that waits for a future, as the future sees it.
///
/// It does not lie in the coroutine's frame, which may be destroyed at a moment when the future has
/// ended but has not told everybody yet. Of the two, the awaiter in the frame and the future that
/// tells, the second one to be through with it destroys it.
class WaitingCoroutine final : public Waiter {
public:
    explicit WaitingCoroutine(std::coroutine_handle<> coroutine) noexcept
        : Waiter(Role::operation), coroutine_(coroutine) {}

    void notify(StateBase& /*state*/) noexcept override {
        const std::coroutine_handle<> coroutine = coroutine_;
        if (left_.exchange(true, std::memory_order_acq_rel)) {
            delete this;  // the frame is gone
            return;
        }
        run_reporting_errors([coroutine] { coroutine.resume(); });
    }

    /// By the awaiter in the frame, which is resumed, or destroyed while it waits.
    void leave(StateBase& state) noexcept {
        if (state.remove(*this) || left_.exchange(true, std::memory_order_acq_rel)) {
            delete this;
        }
    }

private:
    const std::coroutine_handle<> coroutine_;
    std::atomic<bool> left_{false};
};

/// What `co_await future` makes in a coroutine that is not Asio's.
template <class FutureType>
class FutureAwaiter {
public:
    explicit FutureAwaiter(FutureType future) noexcept : future_(std::move(future)) {}
    FutureAwaiter(const FutureAwaiter&) = delete;
    FutureAwaiter& operator=(const FutureAwaiter&) = delete;
    ~FutureAwaiter() {
        if (waiting_ != nullptr) {
            waiting_->leave(FutureAccess::state(future_));
        }
    }

    [[nodiscard]] bool await_ready() const { return future_.done(); }

    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiting_ = new WaitingCoroutine(coroutine);
        // Once it is added the coroutine may go on elsewhere, and this object with it.
        WaitingCoroutine* const waiting = waiting_;
        if (FutureAccess::state(future_).add(*waiting)) {
            return true;
        }
        delete std::exchange(waiting_, nullptr);
        return false;
    }

    typename FutureType::value_type await_resume() { return std::move(future_).result(); }

private:
    FutureType future_;
    WaitingCoroutine* waiting_ = nullptr;  // until it was resumed, or the frame is destroyed
};

}  // namespace cofutures::detail
