#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace image_server {

/// Durations counted in buckets, as Prometheus has them, and the latest of them kept for exact
/// quantiles. For one thread.
class Histogram {
public:
    using Duration = std::chrono::duration<double>;

    /// Upper bounds of the buckets in seconds; beyond the last is the bucket `+Inf`.
    static constexpr std::array<double, 16> bounds = {
        0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60};

    void observe(Duration duration);

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] Duration sum() const noexcept { return sum_; }
    [[nodiscard]] Duration largest() const noexcept { return largest_; }
    /// Zero if there is none.
    [[nodiscard]] Duration mean() const noexcept;
    /// How many were at most bounds[bucket].
    [[nodiscard]] std::uint64_t at_most(std::size_t bucket) const noexcept;
    /// Of the latest durations, such as 0.5 for the median; zero if there is none.
    [[nodiscard]] Duration recent_quantile(double part) const;

private:
    std::array<std::uint64_t, bounds.size() + 1> buckets_{};
    std::array<Duration, 512> recent_{};
    std::uint64_t count_ = 0;
    Duration sum_{};
    Duration largest_{};
};

}  // namespace image_server
