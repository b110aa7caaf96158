#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

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

    /// Of so many items how many to run before that is asked for again.
    [[nodiscard]] std::size_t look_after(std::size_t count) const noexcept {
        return instant_ == 1 ? count : std::min(count, most_unlooked);
    }

    /// Learns how long the last items took, of those that were taken.
    void ran(std::size_t count, std::chrono::nanoseconds time) noexcept {
        const auto spent = static_cast<std::size_t>(std::max<std::int64_t>(time.count(), 1));
        instant_ = std::clamp<std::size_t>(count * unnoticed / spent, 1, most_instant);
    }

    /// Learns how long it took to take so many and to run them.
    void took(std::size_t count, std::chrono::nanoseconds time) noexcept {
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
    static constexpr std::size_t unnoticed = 1000;  // nanoseconds
    static constexpr std::size_t most_instant = 16;
    static constexpr std::size_t most_unlooked = 128;

    bool fixed_;
    std::size_t size_;
    std::size_t instant_ = 1;
};

}  // namespace cofutures::detail
