#pragma once

#include <cofutures/task_options.hpp>
#include <cofutures/detail/state_base.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <utility>

namespace cofutures::thread {

/// First-in first-out list of tasks, linked through the tasks themselves: no memory of its own.
/// Owns a reference to each. Not thread-safe.
class TaskList {
public:
    TaskList() = default;
    TaskList(TaskList&& other) noexcept
        : first_(std::exchange(other.first_, nullptr)),
          last_(std::exchange(other.last_, nullptr)) {}
    TaskList& operator=(TaskList&& other) noexcept {
        std::swap(first_, other.first_);
        std::swap(last_, other.last_);
        return *this;
    }
    ~TaskList() {
        while (pop()) {
        }
    }

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

    void push(detail::StatePtr task) noexcept {
        detail::StateBase* state = task.detach();
        state->next_in_queue = nullptr;
        (last_ == nullptr ? first_ : last_->next_in_queue) = state;
        last_ = state;
    }

    /// Takes the oldest task; null when there is none.
    detail::StatePtr pop() noexcept {
        detail::StateBase* state = first_;
        if (state != nullptr) {
            first_ = state->next_in_queue;
            if (first_ == nullptr) {
                last_ = nullptr;
            }
        }
        return detail::StatePtr(state, false);
    }

private:
    detail::StateBase* first_ = nullptr;
    detail::StateBase* last_ = nullptr;
};

/// The priority that a task was submitted with.
inline int priority_of(const detail::StateBase& task) noexcept {
    const TaskOptions* const options = task.options();
    return options == nullptr ? 0 : options->priority;
}

/// Tasks by priority, the highest first, and in the order pushed within one.
///
/// Those of priority 0 stand in one list, and as long as there are no others nothing else is looked
/// at. Each other priority in use has a list in a tree. Owns a reference to each task. Not
/// thread-safe.
class TaskQueue {
public:
    TaskQueue() = default;
    TaskQueue(TaskQueue&& other) noexcept
        : ordinary_(std::move(other.ordinary_)),
          others_(std::exchange(other.others_, {})),
          size_(std::exchange(other.size_, 0)) {}
    TaskQueue& operator=(TaskQueue&& other) noexcept {
        std::swap(ordinary_, other.ordinary_);
        std::swap(others_, other.others_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~TaskQueue() = default;

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Makes room for a priority, so that the next push() of it cannot fail. Throws std::bad_alloc.
    void reserve(int priority) {
        if (priority != 0) {
            others_.try_emplace(priority);
        }
    }

    /// Throws std::bad_alloc, but not for priority 0, nor right after reserve().
    void push(detail::StatePtr task, int priority = 0) {
        (priority == 0 ? ordinary_ : others_[priority]).push(std::move(task));
        ++size_;
    }

    /// Takes the oldest task of the highest priority; null when there is none.
    detail::StatePtr pop() noexcept {
        if (size_ == 0) {
            return nullptr;
        }
        --size_;
        return others_.empty() ? ordinary_.pop() : pop_by_priority();
    }

private:
    detail::StatePtr pop_by_priority() noexcept {
        for (auto level = others_.begin(); level != others_.end();) {
            if (level->first < 0 && !ordinary_.empty()) {
                break;
            }
            if (detail::StatePtr task = level->second.pop()) {
                if (level->second.empty()) {
                    others_.erase(level);
                }
                return task;
            }
            level = others_.erase(level);  // reserved and not used
        }
        return ordinary_.pop();
    }

    TaskList ordinary_;
    std::map<int, TaskList, std::greater<>> others_;
    std::size_t size_ = 0;
};

}  // namespace cofutures::thread
