#include "process/pool_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <utility>

namespace cofutures::process {

PoolFsm::PoolFsm(const PoolFsmConfig& config)
    : max_workers_(config.max_workers), window_(config.window) {
    if (max_workers_ == 0) {
        throw std::invalid_argument("max_workers must be greater than 0");
    }
    if (window_ == 0) {
        throw std::invalid_argument("window must be greater than 0");
    }
}

bool PoolFsm::submitted(TaskId task, PoolActions& out) {
    if (broken_ || shut_down_) {
        return false;
    }
    assert((queue_.empty() || task > *queue_.rbegin()) && "task ids must grow");
    queue_.insert(queue_.end(), task);
    settle(out);
    return true;
}

bool PoolFsm::cancelled(TaskId task, PoolActions& out) {
    if (queue_.erase(task) == 0) {
        return false;
    }
    settle(out);
    return true;
}

void PoolFsm::worker_started(WorkerId worker, std::int64_t pid, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr || found->started) {
        return;
    }
    found->started = true;
    found->pid = pid;
    // Decided while there was no process yet to tell.
    if (found->stopped) {
        out.emplace_back(StopWorker{worker});
    }
    if (found->killed) {
        out.emplace_back(KillWorker{worker, found->kill_by_force});
    }
}

void PoolFsm::worker_ready(WorkerId worker, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr || found->ready || found->is_leaving()) {
        return;
    }
    found->ready = true;
    --starting_;
    idle_.push_back(worker);
    settle(out);
}

void PoolFsm::spawn_failed(WorkerId worker, std::string_view text, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return;
    }
    withdraw(worker, *found);
    workers_.erase(worker);
    if (!workers_.empty()) {
        max_workers_ = workers_.size();
    } else if (!queue_.empty()) {
        break_pool(
            {.reason = BreakReason::spawn_failed, .worker = worker, .text = std::string(text)}, out
        );
    }
    settle(out);
}

bool PoolFsm::task_finished(WorkerId worker, TaskId task, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return false;
    }
    if (found->tasks.empty() || found->tasks.front() != task) {
        fault(worker, BreakReason::worker_misbehaved, "it answered for a task it did not run", out);
        return false;
    }
    found->tasks.pop_front();
    --handed_over_;
    if (found->tasks.empty()) {
        idle_.push_back(worker);
    }
    settle(out);
    return true;
}

void PoolFsm::worker_gone(WorkerId worker, const ExitStatus& exit, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return;
    }
    BreakPool cause{
        .reason = BreakReason::worker_died, .worker = worker, .pid = found->pid, .exit = exit};
    if (!found->tasks.empty()) {
        cause.task = found->tasks.front();
    }
    const bool expected = found->is_leaving();
    withdraw(worker, *found);
    take_back(*found);
    workers_.erase(worker);
    if (!expected) {
        break_pool(std::move(cause), out);
    }
    settle(out);
}

void PoolFsm::initializer_failed(WorkerId worker, std::string_view text, PoolActions& out) {
    fault(worker, BreakReason::initializer_failed, text, out);
}

void PoolFsm::worker_misbehaved(WorkerId worker, std::string_view text, PoolActions& out) {
    fault(worker, BreakReason::worker_misbehaved, text, out);
}

void PoolFsm::shutdown(bool cancel_pending, PoolActions& out) {
    shut_down_ = true;
    if (cancel_pending) {
        for (const TaskId task : queue_) {
            out.emplace_back(CancelTask{task});
        }
        queue_.clear();
    }
    settle(out);
}

void PoolFsm::terminate(bool kill, PoolActions& out) {
    shutdown(true, out);
    if (handed_over_ != 0) {
        fail_all({.reason = BreakReason::terminated}, out);
    }
    if (!kill) {
        // One whose program handles the signal, and does not die of it, still leaves.
        for (auto& [id, worker] : workers_) {
            stop(id, worker, out);
        }
    }
    kill_all(kill, out);
}

std::optional<TaskId> PoolFsm::running_task(WorkerId worker) const {
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.tasks.empty()) {
        return std::nullopt;
    }
    return found->second.tasks.front();
}

PoolFsm::Worker* PoolFsm::find(WorkerId id) {
    const auto found = workers_.find(id);
    return found == workers_.end() ? nullptr : &found->second;
}

// What every event ends with: hand out work, and let go whom nothing is left for.
void PoolFsm::settle(PoolActions& out) {
    dispatch(out);
    if (!shut_down_ || !queue_.empty()) {
        return;
    }
    for (auto& [id, worker] : workers_) {
        if (worker.tasks.empty()) {
            stop(id, worker, out);
        }
    }
    if (workers_.empty() && !std::exchange(finished_, true)) {
        out.emplace_back(PoolFinished{});
    }
}

void PoolFsm::dispatch(PoolActions& out) {
    // The worker that became idle last has the warmest caches.
    while (!queue_.empty() && !idle_.empty()) {
        send(idle_.back(), workers_.at(idle_.back()), out);
    }
    while (queue_.size() > starting_ && workers_.size() < max_workers_) {
        const WorkerId id = next_worker_++;
        workers_.emplace(id, Worker{});
        ++starting_;
        out.emplace_back(SpawnWorker{id});
    }
    // Nothing is sent ahead as long as a worker comes up that would begin it at once.
    while (window_ > 1 && queue_.size() > starting_) {
        WorkerId id = 0;
        Worker* worker = least_loaded(id);
        if (worker == nullptr) {
            break;
        }
        send(id, *worker, out);
    }
}

PoolFsm::Worker* PoolFsm::least_loaded(WorkerId& id) {
    Worker* best = nullptr;
    for (auto& [candidate, worker] : workers_) {
        if (worker.ready && !worker.is_leaving() && worker.tasks.size() < window_ &&
            (best == nullptr || worker.tasks.size() < best->tasks.size())) {
            id = candidate;
            best = &worker;
        }
    }
    return best;
}

void PoolFsm::send(WorkerId id, Worker& worker, PoolActions& out) {
    const TaskId task = *queue_.begin();
    queue_.erase(queue_.begin());
    if (worker.tasks.empty()) {
        std::erase(idle_, id);
    }
    worker.tasks.push_back(task);
    ++handed_over_;
    out.emplace_back(SendTask{id, task});
}

void PoolFsm::stop(WorkerId id, Worker& worker, PoolActions& out) {
    if (worker.is_leaving()) {
        return;
    }
    withdraw(id, worker);
    worker.stopped = true;
    if (worker.started) {
        out.emplace_back(StopWorker{id});
    }
}

void PoolFsm::kill(WorkerId id, Worker& worker, bool force, PoolActions& out) {
    if (worker.killed && (worker.kill_by_force || !force)) {
        return;
    }
    withdraw(id, worker);
    worker.killed = true;
    worker.kill_by_force = force;
    if (worker.started) {
        out.emplace_back(KillWorker{id, force});
    }
}

// Counts the worker out of those that take tasks.
void PoolFsm::withdraw(WorkerId id, const Worker& worker) {
    if (worker.is_leaving()) {
        return;
    }
    if (!worker.ready) {
        --starting_;
    } else if (worker.tasks.empty()) {
        std::erase(idle_, id);
    }
}

// The queue is ordered by submission, so tasks that come back find their old place.
void PoolFsm::take_back(Worker& worker) {
    handed_over_ -= worker.tasks.size();
    queue_.insert(worker.tasks.begin(), worker.tasks.end());
    worker.tasks.clear();
}

void PoolFsm::fault(WorkerId id, BreakReason reason, std::string_view text, PoolActions& out) {
    Worker* worker = find(id);
    if (worker == nullptr || worker->killed) {
        return;
    }
    if (worker->stopped) {  // it holds nothing, so nothing breaks
        kill(id, *worker, true, out);
        return;
    }
    BreakPool cause{.reason = reason, .worker = id, .pid = worker->pid, .text = std::string(text)};
    if (!worker->tasks.empty()) {
        cause.task = worker->tasks.front();
    }
    break_pool(std::move(cause), out);
    settle(out);
}

void PoolFsm::break_pool(BreakPool cause, PoolActions& out) {
    fail_all(std::move(cause), out);
    kill_all(true, out);
}

void PoolFsm::fail_all(BreakPool cause, PoolActions& out) {
    assert(!broken_);
    broken_ = true;
    out.emplace_back(std::move(cause));
    for (auto& [id, worker] : workers_) {
        take_back(worker);
    }
    for (const TaskId task : queue_) {
        out.emplace_back(FailTask{task});
    }
    queue_.clear();
}

void PoolFsm::kill_all(bool force, PoolActions& out) {
    for (auto& [id, worker] : workers_) {
        kill(id, worker, force, out);
    }
}

}  // namespace cofutures::process
