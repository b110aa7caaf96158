#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace cofutures::detail {

/// How many items to take at a time, so that taking them costs little beside what is done with
/// them, while no item waits long for its neighbours.
class MapGrain {
public:
    /// @param fixed  The size it always has; 0 to learn it from what items take.
    explicit MapGrain(std::size_t fixed) noexcept : fixed_(fixed != 0), size_(fixed_ ? fixed : 1) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// How many items take so little together that it does not matter which of them is done first.
    [[nodiscard]] std::size_t instant() const noexcept { return instant_; }

    /// Learns how long so many items took.
    void took(std::size_t count, std::chrono::nanoseconds time) noexcept {
        const auto each = std::max<std::chrono::nanoseconds::rep>(time.count(), 1);
        instant_ = std::clamp<std::size_t>(
            count * static_cast<std::size_t>(unnoticed.count()) / static_cast<std::size_t>(each),
            1,
            most_instant
        );
        if (fixed_) {
            return;
        }
        if (time < wanted / 2 && count >= size_) {
            size_ = std::min(2 * size_, largest);
        } else if (time > wanted) {
            size_ = std::max<std::size_t>(size_ / 2, 1);
        }
    }

private:
    static constexpr std::chrono::microseconds wanted{20};
    static constexpr std::size_t largest = 1024;
    static constexpr std::chrono::nanoseconds unnoticed{1000};
    static constexpr std::size_t most_instant = 64;

    bool fixed_;
    std::size_t size_;
    std::size_t instant_ = 1;
};

}  // namespace cofutures::detail
