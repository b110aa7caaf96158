#pragma once

#include <chrono>
#include <optional>

namespace cofutures::detail {

using Clock = std::chrono::steady_clock;

/// A point on the steady clock, or none for "no timeout".
using Deadline = std::optional<Clock::time_point>;

/// Turns a timeout into a deadline from now; one too long for the clock means none.
template <class Rep, class Period>
[[nodiscard]] Deadline deadline_after(std::chrono::duration<Rep, Period> timeout) {
    using Wide = std::chrono::duration<long double, Clock::period>;
    const auto now = Clock::now();
    const Wide wanted = timeout;
    if (!(wanted > Wide::zero())) {
        return now;
    }
    if (wanted >= Wide(Clock::time_point::max() - now)) {
        return std::nullopt;
    }
    return now + std::chrono::ceil<Clock::duration>(wanted);
}

/// Says whether the deadline has passed.
[[nodiscard]] inline bool has_passed(const Deadline& deadline) {
    return deadline && Clock::now() >= *deadline;
}

}  // namespace cofutures::detail
