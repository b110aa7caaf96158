#pragma once

#include "process/process_pool.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace cofutures::process {

/// Hears of the end of a task that waits in a bounded pool: one that is cancelled makes room.
/// Destroyed by whoever takes it off the future, or by itself when it has been told.
class ProcessPool::CancelWatch final : public detail::Waiter {
public:
    CancelWatch(std::shared_ptr<ProcessPool> pool, TaskId task)
        : Waiter(Role::callback), pool_(std::move(pool)), task_(task) {}

    void notify(detail::StateBase& /*state*/) noexcept override {
        pool_->task_cancelled(task_);
        delete this;
    }

private:
    std::shared_ptr<ProcessPool> pool_;
    TaskId task_;
};

/// What is left to do when the mutex is free again. Futures are ended when this object goes, which
/// is declared before the lock.
class ProcessPool::Afterwork {
public:
    explicit Afterwork(ProcessPool& pool) noexcept : pool_(pool) {}
    Afterwork(const Afterwork&) = delete;
    Afterwork& operator=(const Afterwork&) = delete;

    ~Afterwork() {
        for (const Entry& entry : cancelled) {
            pool_.dropped(entry, TaskOutcome::cancelled);
            entry.task->cancel();
        }
        for (const Ending& ending : ended) {
            pool_.dropped(ending.entry, TaskOutcome::raised);
            ending.entry.task->finish_with_error(ending.loss->make_error());
        }
        for (Promise<void>& promise : admitted) {
            end(promise, nullptr);
        }
        for (auto& [waiting, error] : refused) {
            pool_.dropped(waiting.entry, TaskOutcome::cancelled);
            end(waiting.taken, std::move(error));
        }
        if (finished) {
            pool_.finish();
        }
    }

    /// Comes before the end of futures: workers have something to do while callbacks run here.
    void flush() const {
        if (pool_.config_.observer) {
            for (const Start& start : started) {
                pool_.config_.observer->task_started(
                    {.task = start.task,
                     .name = start.name,
                     .worker = start.worker,
                     .time = std::chrono::steady_clock::now()}
                );
            }
        }
        if (!flush_late) {
            for (const auto& channel : to_flush) {
                channel->flush();
            }
        }
        if (alarm_is_late) {
            boost::asio::post(pool_.executor_, [&pool = pool_, kept = pool_.keep()] {
                pool.set_alarm();
            });
        }
    }

    struct Start {
        TaskId task;
        std::string name;
        std::string worker;
    };
    struct Ending {
        Entry entry;
        std::shared_ptr<const Loss> loss;
    };

    std::vector<Start> started;  // only for an observer
    std::vector<std::shared_ptr<WorkerChannel>> to_flush;
    std::vector<Entry> cancelled;
    std::vector<Ending> ended;
    std::vector<Promise<void>> admitted;
    std::vector<std::pair<Waiting, std::exception_ptr>> refused;
    bool flush_late = false;  // `to_flush` is the caller's
    bool alarm_is_late = false;
    bool finished = false;

private:
    ProcessPool& pool_;
};

/// Gives an event to the state machine, under the mutex, and performs what it wants. False if the
/// pool has given up, before or just now, or belongs to another process.
template <class Decide>
bool ProcessPool::decide(Decide decide) noexcept {
    Afterwork afterwork(*this);
    return this->decide(std::move(decide), afterwork);
}

/// The same, with what is left to do for the caller to look at.
template <class Decide>
bool ProcessPool::decide(Decide decide, Afterwork& afterwork) noexcept {
    if (!home_.is_here()) {
        return false;  // a forked child has cancelled a task, and that is its own affair
    }
    try {
        {
            const std::lock_guard lock(mutex_);
            if (failure_ != nullptr) {
                return false;
            }
            PoolActions actions;
            decide(actions);
            perform(actions, afterwork);
            const auto next = timers_.next();
            if (next && *next < alarm_) {
                alarm_ = *next;
                afterwork.alarm_is_late = true;
            }
        }
        afterwork.flush();
        return true;
    } catch (...) {
        give_up();
        return false;
    }
}

}  // namespace cofutures::process
