#pragma once

#include <cofutures/detail/state_base.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace cofutures::thread {

/// Tasks that one worker has submitted, and that no other has seen yet: a few at most, oldest
/// first. Owns a reference to each.
///
/// Lockable, and everything else under the lock, which is held for some instructions only. The
/// worker adds at the end and takes back from there what it runs in place; others take all.
class LocalQueue {
public:
    static constexpr std::size_t capacity = 64;

    LocalQueue() = default;
    LocalQueue(const LocalQueue&) = delete;
    LocalQueue& operator=(const LocalQueue&) = delete;
    ~LocalQueue() {
        while (pop_front()) {
        }
    }

    void lock() const noexcept {
        while (locked_.exchange(true, std::memory_order_acquire)) {
            while (locked_.load(std::memory_order_relaxed)) {
                std::this_thread::yield();
            }
        }
    }
    void unlock() const noexcept { locked_.store(false, std::memory_order_release); }

    [[nodiscard]] bool empty() const noexcept { return first_ == end_; }
    [[nodiscard]] bool full() const noexcept { return end_ - first_ == capacity; }

    /// How many were ever added.
    [[nodiscard]] std::uint64_t added() const noexcept { return added_; }

    /// Adds a task; there is room.
    void push_back(detail::StatePtr task) noexcept {
        at(end_++) = task.detach();
        ++added_;
    }

    /// Takes the oldest task; null when there is none.
    detail::StatePtr pop_front() noexcept {
        return empty() ? nullptr : detail::StatePtr(at(first_++), false);
    }

    /// Takes the newest task if it is this one, or one that somebody has begun; else null.
    detail::StatePtr pop_back(const detail::StateBase& wanted) noexcept {
        if (empty()) {
            return nullptr;
        }
        detail::StateBase* const newest = at(end_ - 1);
        const detail::Phase phase = newest->phase();
        const bool has_run = phase == detail::Phase::running || phase == detail::Phase::returned ||
                             phase == detail::Phase::raised;
        if (newest != &wanted && !has_run) {
            return nullptr;
        }
        --end_;
        return detail::StatePtr(newest, false);
    }

private:
    detail::StateBase*& at(std::size_t number) noexcept { return tasks_[number % capacity]; }

    mutable std::atomic<bool> locked_{false};  // who only looks locks, too
    // Numbers of tasks, counted up: the first that is here, and the next to be added.
    std::size_t first_ = 0;
    std::size_t end_ = 0;
    std::uint64_t added_ = 0;
    std::array<detail::StateBase*, capacity> tasks_{};
};

}  // namespace cofutures::thread
