#pragma once

#include <cofutures/future.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>

namespace cofutures::test {

/// What became of calls, by the callbacks of their futures. Thread-safe.
struct Ledger {
    std::atomic<std::uint64_t> submitted{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> returned{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<std::uint64_t> wrong{0};

    [[nodiscard]] std::uint64_t ended() const { return returned + failed + cancelled; }

    /// Enters what became of a future when it is done.
    void enter(const Future<int>& future, int expected) {
        ++submitted;
        future.add_done_callback([this, expected](const Future<int>& done) {
            if (done.cancelled()) {
                ++cancelled;
            } else if (done.exception() != nullptr) {
                ++failed;
            } else {
                wrong += done.result() == expected ? 0 : 1;
                ++returned;
            }
        });
    }

    void print(const char* when) const {
        std::printf(
            "%s: %llu submitted = %llu returned + %llu failed + %llu cancelled; %llu refused\n",
            when,
            static_cast<unsigned long long>(submitted),
            static_cast<unsigned long long>(returned),
            static_cast<unsigned long long>(failed),
            static_cast<unsigned long long>(cancelled),
            static_cast<unsigned long long>(refused)
        );
        std::fflush(stdout);
    }
};

}  // namespace cofutures::test
