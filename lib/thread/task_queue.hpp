#pragma once

#include <cofutures/detail/state_base.hpp>

#include <cstddef>
#include <utility>

namespace cofutures::thread {

/// First-in first-out list of tasks, linked through the tasks themselves: no memory of its own.
/// Owns a reference to each. Not thread-safe.
class TaskQueue {
public:
    TaskQueue() = default;
    TaskQueue(TaskQueue&& other) noexcept
        : first_(std::exchange(other.first_, nullptr)),
          last_(std::exchange(other.last_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    TaskQueue& operator=(TaskQueue&& other) noexcept {
        std::swap(first_, other.first_);
        std::swap(last_, other.last_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~TaskQueue() {
        while (pop()) {
        }
    }

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push(detail::StatePtr task) noexcept {
        detail::StateBase* state = task.detach();
        state->next_in_queue = nullptr;
        (last_ == nullptr ? first_ : last_->next_in_queue) = state;
        last_ = state;
        ++size_;
    }

    /// Takes the oldest task; null when there is none.
    detail::StatePtr pop() noexcept {
        detail::StateBase* state = first_;
        if (state != nullptr) {
            first_ = state->next_in_queue;
            if (first_ == nullptr) {
                last_ = nullptr;
            }
            --size_;
        }
        return detail::StatePtr(state, false);
    }

private:
    detail::StateBase* first_ = nullptr;
    detail::StateBase* last_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace cofutures::thread
