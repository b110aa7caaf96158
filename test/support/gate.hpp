#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace cofutures::test {

/// How long a test waits for what must happen; long enough for a loaded machine under a sanitizer.
inline constexpr std::chrono::seconds generous{60};

/// One-shot gate between threads: whoever waits goes on once it is open.
class Gate {
public:
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }

    [[nodiscard]] bool is_open() const {
        const std::lock_guard lock(mutex_);
        return open_;
    }

    /// Throws, and so fails the test, if nobody opens the gate.
    void wait() const {
        std::unique_lock lock(mutex_);
        if (!opened_.wait_for(lock, generous, [this] { return open_; })) {
            throw std::runtime_error("a gate was not opened in time");
        }
    }

private:
    mutable std::mutex mutex_;  // guards open_
    mutable std::condition_variable opened_;
    bool open_ = false;
};

}  // namespace cofutures::test
