#include "core/task_timer.hpp"

#include <cofutures/task_options.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace cofutures::detail {

TaskTimer::~TaskTimer() {
    if (thread_.joinable()) {
        thread_.detach();  // the last owner is the thread itself, about to return
    }
}

void TaskTimer::start() {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() && !stopped_) {
        thread_ = std::thread([self = shared_from_this()] { self->run(); });
    }
}

void TaskTimer::join() noexcept {
    stop();
    std::thread thread;
    {
        const std::lock_guard lock(mutex_);
        if (thread_.get_id() != std::this_thread::get_id()) {
            thread = std::move(thread_);
        }
    }
    if (thread.joinable()) {
        thread.join();
    }
}

void TaskTimer::begun(StateBase& task) noexcept {
    const TaskOptions* const options = task.options();
    if (options == nullptr || !options->timeout) {
        return;
    }
    const Deadline end = deadline_after(*options->timeout);
    if (!end) {
        return;  // beyond the end of the clock
    }
    const std::lock_guard lock(mutex_);
    try {
        running_.push_back({.task = StatePtr(&task), .end = *end});
    } catch (const std::bad_alloc&) {
        return;  // it runs without a limit
    }
    changed_.notify_one();
}

void TaskTimer::ended(StateBase& task) noexcept {
    StatePtr keep;
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(running_, &task, [](const Running& running) {
        return running.task.get();
    });
    if (found != running_.end()) {
        if (!found->asked && Clock::now() >= found->end) {
            ++overruns_;  // the thread had no time yet
        }
        keep = std::move(found->task);
        *found = std::move(running_.back());
        running_.pop_back();
    }
}

void TaskTimer::stop() noexcept {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
}

std::uint64_t TaskTimer::overruns() const {
    const std::lock_guard lock(mutex_);
    return overruns_;
}

void TaskTimer::run() noexcept {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        const auto now = Clock::now();
        Deadline next;
        StatePtr late;
        for (Running& running : running_) {
            if (running.asked) {
                continue;
            }
            if (running.end <= now) {
                running.asked = true;
                ++overruns_;
                late = running.task;
                break;
            }
            next = std::min(next.value_or(running.end), running.end);
        }
        if (late != nullptr) {
            lock.unlock();
            late->request_stop();
            late.reset();
            lock.lock();
        } else if (next) {
            changed_.wait_until(lock, *next);
        } else {
            changed_.wait(lock);
        }
    }
}

}  // namespace cofutures::detail
