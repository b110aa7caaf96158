#pragma once

#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/waiter.hpp>

#include "core/sleeper.hpp"

#include <condition_variable>
#include <mutex>

namespace cofutures::detail {

/// A thread that sleeps until a future is done. Lives on that thread's stack.
class BlockingWaiter final : public Waiter, public Sleeper {
public:
    BlockingWaiter() noexcept : Waiter(Role::thread) {}

    void notify(StateBase& /*state*/) noexcept override {
        // Signalled under the lock: once it is free the waiter may be gone.
        const std::lock_guard lock(mutex_);
        told_ = true;
        changed_.notify_one();
    }

    void wake() noexcept override {
        const std::lock_guard lock(mutex_);
        woken_ = true;
        changed_.notify_one();
    }

    /// Sleeps until told; false if the deadline or wake() came first.
    bool sleep(const Deadline& deadline) {
        std::unique_lock lock(mutex_);
        const auto ends = [this] {
            return told_ || woken_;
        };
        if (!deadline) {
            changed_.wait(lock, ends);
        } else {
            changed_.wait_until(lock, *deadline, ends);
        }
        return told_;
    }

    /// Sleeps until told, which is certain to come.
    void sleep_until_told() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return told_; });
    }

private:
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool told_ = false;
    bool woken_ = false;
};

}  // namespace cofutures::detail
