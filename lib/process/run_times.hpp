#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace cofutures::process {

/// Tells calls apart that may take different times; any number that is the same for the same code.
using TaskKind = std::uint64_t;

/// How long tasks took, kind by kind: says how many of them may be under way to one worker.
///
/// Sending ahead hides a round trip, so it is worth something for short tasks only; and what was
/// sent waits for what is before it, so all of it together must not take long.
///
/// Not thread-safe.
class RunTimes {
public:
    using Time = std::chrono::nanoseconds;

    /// A kind with a longer mean is not short.
    static constexpr Time longest{std::chrono::microseconds(200)};
    /// What a worker has before it shall be done in about this time.
    static constexpr Time ahead{std::chrono::milliseconds(1)};
    /// So many have to be short before a kind is believed to be.
    static constexpr unsigned proof = 8;

    void took(TaskKind kind, Time time) {
        Estimate& estimate = estimates_[kind];
        estimate.count = std::min(estimate.count + 1, proof);
        // Longer times are believed sooner than shorter ones.
        const Time step = time - estimate.mean;
        estimate.mean += estimate.count == 1 ? step : step / (step > Time::zero() ? 2 : 8);
    }

    /// How many tasks of this kind a worker may have at one time; 1 if they are not short.
    [[nodiscard]] std::size_t window(TaskKind kind) const {
        const auto found = estimates_.find(kind);
        if (found == estimates_.end() || found->second.count < proof ||
            found->second.mean > longest) {
            return 1;
        }
        constexpr Time least{std::chrono::microseconds(5)};
        return 1 + static_cast<std::size_t>(ahead / std::max(found->second.mean, least));
    }

private:
    struct Estimate {
        unsigned count = 0;
        Time mean{};
    };

    std::unordered_map<TaskKind, Estimate> estimates_;
};

}  // namespace cofutures::process
