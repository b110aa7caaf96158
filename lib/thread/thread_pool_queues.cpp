// The queues of a ThreadPool: those of single workers, and who waits for room in a bounded one.

#include "thread/thread_pool.hpp"

#include <utility>

namespace cofutures::thread {

// --- local queues -------------------------------------------------------------------------------

// Takes a task that another one submits, if nobody could come for it earlier than those that are at
// work: then it waits where only this thread looks, until one of them comes to the queue.
//
// Why it is not forgotten: a drainer that is about to cease says so by `submit_to_all_` first, and
// then looks whether there are local tasks. This says that there are, and then looks at
// `submit_to_all_` once more. One of the two sees the other. Whoever empties a local queue says so
// before it locks that, so that what is added later is announced again. The same holds for all who
// come to have a drainer to spare, or close the pool.
bool ThreadPool::push_locally(detail::StatePtr& task) noexcept {
    if (current_worker_ == nullptr || !runs_this_thread() || task->options() != nullptr) {
        return false;
    }
    {
        LocalQueue& local = current_worker_->submitted;
        const std::lock_guard lock(local);
        if (submit_to_all_.load(std::memory_order_seq_cst) || local.full()) {
            return false;
        }
        task->enter(this, *this, {});
        local.push_back(std::move(task));
        if (!local_tasks_.load(std::memory_order_seq_cst)) {
            local_tasks_.store(true, std::memory_order_seq_cst);
        }
        if (!submit_to_all_.load(std::memory_order_seq_cst)) {
            return true;
        }
    }
    Call called;
    {
        const std::lock_guard lock(mutex_);
        called = call_for_more();
    }
    wake(called);
    return true;
}

// Under the mutex: brings to the queue what lies in local ones; says whether there was any.
bool ThreadPool::collect() noexcept {
    if (!local_tasks_.load(std::memory_order_seq_cst)) {
        return false;
    }
    const std::size_t before = queue_.size();
    collect_all();
    return queue_.size() != before;
}

void ThreadPool::collect_all() noexcept {
    local_tasks_.store(false, std::memory_order_seq_cst);
    for (Worker& worker : workers_) {
        const std::lock_guard lock(worker.submitted);
        while (detail::StatePtr task = worker.submitted.pop_front()) {
            queue_.push(std::move(task));
            queue_filled_.store(true, std::memory_order_relaxed);
        }
    }
}

// Under the mutex, whenever what it looks at has changed.
void ThreadPool::decide_where_tasks_submit() noexcept {
    const bool to_all = searching_ != 0 || drainers_ < drainers_allowed_ || shut_down_ ||
                        initializer_error_ != nullptr || config_.max_queue ||
                        config_.observer != nullptr;
    if (submit_to_all_.load(std::memory_order_relaxed) != to_all) {
        submit_to_all_.store(to_all, std::memory_order_seq_cst);
    }
}

detail::StatePtr ThreadPool::take_back(detail::StateBase& task) noexcept {
    // A substitute has no queue; and in a forked child that may be locked for ever.
    if (current_worker_ == nullptr || !home_.is_here()) {
        return detail::StatePtr(&task);
    }
    LocalQueue& local = current_worker_->submitted;
    detail::StatePtr taken;
    TaskList begun;  // let go of without the lock
    {
        const std::lock_guard lock(local);
        while (detail::StatePtr last = local.pop_back(task)) {
            if (last.get() == &task) {
                taken = std::move(last);
                break;
            }
            begun.push(std::move(last));
        }
    }
    return taken != nullptr ? std::move(taken) : detail::StatePtr(&task);
}

// --- a bounded queue ----------------------------------------------------------------------------

// Under the mutex. A task takes up room until it has begun, was cancelled or is lost, wherever it
// is meanwhile. It is counted for stats() before it is counted here, so stats() shows no more tasks
// queued than there is room for.
bool ThreadPool::has_room() const noexcept {
    const std::uint64_t gone = begun_.load(std::memory_order_seq_cst) +
                               cancelled_.load(std::memory_order_seq_cst) +
                               lost_.load(std::memory_order_seq_cst);
    return submitted_ - gone < *config_.max_queue;
}

// Under the mutex: whether there is room that nobody else waits for.
bool ThreadPool::has_room_for_another() const noexcept {
    return !config_.max_queue || (room_waiters_.empty() && has_room());
}

// Under the mutex: whether a task must join those that wait for room. Who makes room counts that
// and then looks whether any is wanted; this says that it is wanted and then counts again. So one
// of the two sees what the other did.
bool ThreadPool::must_wait_for_room() noexcept {
    if (has_room_for_another()) {
        return false;
    }
    room_wanted_.store(true, std::memory_order_seq_cst);
    return !has_room_for_another();
}

// Under the mutex: queues those that wait for room, as far as there is some. The caller calls for
// help if it is wanted, and finish() when the mutex is free.
ThreadPool::RoomWaiters ThreadPool::admit() noexcept {
    RoomWaiters admitted;
    while (!room_waiters_.empty() && has_room()) {
        RoomWaiter& waiter = room_waiters_.front();
        admitted.splice(admitted.end(), room_waiters_, room_waiters_.begin());
        const TaskOptions* const options = waiter.task->options();
        const int priority = priority_of(*waiter.task);
        try {
            queue_.reserve(priority);
            if (live_ == 0) {
                start_thread();
            }
        } catch (...) {
            waiter.error = std::current_exception();
            continue;
        }
        if (!waiter.task->enter_if_pending(this, *this, marks_for(options))) {
            continue;  // cancelled meanwhile: nobody waits any longer
        }
        ++submitted_;
        if (config_.observer != nullptr) {
            ++announcing_;
            waiter.to_be_announced = true;
        } else {
            queue_.push(waiter.task, priority);
            queue_filled_.store(true, std::memory_order_relaxed);
        }
    }
    if (room_waiters_.empty()) {
        room_wanted_.store(false, std::memory_order_seq_cst);
    }
    return admitted;
}

void ThreadPool::finish(RoomWaiters admitted) noexcept {
    for (RoomWaiter& waiter : admitted) {
        if (waiter.to_be_announced) {
            std::unique_lock lock(mutex_);
            announce(lock, waiter.task);
        }
        // Nobody waits any longer for one that was cancelled.
        if (waiter.error && !waiter.task->cancelled()) {
            waiter.taken.set_exception(std::move(waiter.error));
        } else {
            waiter.taken.set_result();
        }
    }
}

}  // namespace cofutures::thread
