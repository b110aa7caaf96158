#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cofutures::process {

/// Points in time to come, each with a number. It has no clock. Not thread-safe.
class TimerQueue {
public:
    using Time = std::chrono::steady_clock::time_point;

    void add(std::uint64_t timer, Time time) {
        times_.emplace(timer, time);
        order_.emplace(time, timer);
    }

    void remove(std::uint64_t timer) {
        if (const auto found = times_.find(timer); found != times_.end()) {
            order_.erase({found->second, timer});
            times_.erase(found);
        }
    }

    /// The earliest.
    [[nodiscard]] std::optional<Time> next() const {
        return order_.empty() ? std::nullopt : std::optional(order_.begin()->first);
    }

    /// Takes those that have come, the earliest first.
    [[nodiscard]] std::vector<std::uint64_t> pop(Time now) {
        std::vector<std::uint64_t> due;
        while (!order_.empty() && order_.begin()->first <= now) {
            due.push_back(order_.begin()->second);
            times_.erase(due.back());
            order_.erase(order_.begin());
        }
        return due;
    }

private:
    std::unordered_map<std::uint64_t, Time> times_;
    std::set<std::pair<Time, std::uint64_t>> order_;
};

}  // namespace cofutures::process
