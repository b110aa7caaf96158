#include "histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace image_server {

void Histogram::observe(Duration duration) {
    const auto* const bound = std::ranges::lower_bound(bounds, duration.count());
    ++buckets_[static_cast<std::size_t>(bound - bounds.begin())];
    recent_[count_ % recent_.size()] = duration;
    ++count_;
    sum_ += duration;
    largest_ = std::max(largest_, duration);
}

Histogram::Duration Histogram::mean() const noexcept {
    return count_ == 0 ? Duration() : sum_ / static_cast<double>(count_);
}

std::uint64_t Histogram::at_most(std::size_t bucket) const noexcept {
    const auto count = static_cast<std::ptrdiff_t>(bucket) + 1;
    return std::accumulate(buckets_.begin(), buckets_.begin() + count, std::uint64_t{0});
}

Histogram::Duration Histogram::recent_quantile(double part) const {
    const std::size_t size = std::min<std::size_t>(count_, recent_.size());
    if (size == 0) {
        return {};
    }
    auto sorted = recent_;
    const double rank_from_one = std::max(1.0, std::ceil(part * static_cast<double>(size)));
    const auto rank = static_cast<std::ptrdiff_t>(rank_from_one) - 1;
    std::nth_element(
        sorted.begin(), sorted.begin() + rank, sorted.begin() + static_cast<std::ptrdiff_t>(size)
    );
    return sorted[static_cast<std::size_t>(rank)];
}

}  // namespace image_server
