#pragma once

#include <cofutures/error.hpp>
#include <cofutures/executor.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <optional>

namespace cofutures::test {

/// What became of all calls that were to be made.
struct Books {
    std::atomic<long> wanted{0};
    std::atomic<long> refused{0};
    std::atomic<long> ran{0};
    long cancelled = 0;
    long broken = 0;

    /// Has a call made that counts itself.
    std::optional<Future<void>> submit(Executor& executor) {
        ++wanted;
        try {
            return executor.submit([this] { ++ran; });
        } catch (const ShutdownError&) {
            ++refused;
        } catch (const BrokenThreadPool&) {
            ++refused;
        }
        return std::nullopt;
    }

    /// Enters a future that is done, or will be.
    void settle(const Future<void>& future) {
        future.wait();
        if (future.cancelled()) {
            ++cancelled;
        } else if (future.exception() != nullptr) {
            ++broken;
        }
    }

    [[nodiscard]] bool balance() const { return wanted == ran + cancelled + refused + broken; }
};

/// Ends an executor, which must know then what became of every task of its own.
inline void end_and_balance(Executor& executor) {
    executor.shutdown();
    const ExecutorStats stats = executor.stats();
    BOOST_TEST(stats.submitted == stats.completed + stats.failed + stats.cancelled);
}

}  // namespace cofutures::test
