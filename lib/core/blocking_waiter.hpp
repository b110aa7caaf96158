#pragma once

#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/waiter.hpp>

#include <condition_variable>
#include <mutex>

namespace cofutures::detail {

/// A thread that sleeps until a future is done. Lives on that thread's stack.
class BlockingWaiter final : public Waiter {
public:
    BlockingWaiter() noexcept : Waiter(Role::thread) {}

    void notify(StateBase& /*state*/) noexcept override {
        // Signalled under the lock: once it is free the waiter may be gone.
        const std::lock_guard lock(mutex_);
        told_ = true;
        told_changed_.notify_one();
    }

    /// Sleeps until told; false if the deadline came first.
    bool sleep(const Deadline& deadline) {
        std::unique_lock lock(mutex_);
        if (!deadline) {
            told_changed_.wait(lock, [this] { return told_; });
            return true;
        }
        return told_changed_.wait_until(lock, *deadline, [this] { return told_; });
    }

private:
    std::mutex mutex_;  // guards told_
    std::condition_variable told_changed_;
    bool told_ = false;
};

}  // namespace cofutures::detail
