#include "process/pool_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <csignal>
#include <utility>

namespace cofutures::process {

namespace {

using namespace std::chrono_literals;

// What was handed to a worker and not begun is sent again without blame, so often: the worker may
// have died of what is in its pipe.
constexpr int forgiven_starts = 3;

// When workers die before they have said a word.
constexpr std::chrono::nanoseconds first_respawn_delay = 10ms;
constexpr std::chrono::nanoseconds longest_respawn_delay = 1s;
constexpr unsigned hopeless_deaths_at_start = 5;

}  // namespace

// --- workers that go ----------------------------------------------------------------------------

void PoolFsm::worker_gone(
    WorkerId worker, const ExitStatus& exit, std::size_t begun, PoolActions& out
) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return;
    }
    withdraw(worker, *found, out);
    clear_timer(found->deadline, out);
    Worker gone = std::move(*found);
    workers_.erase(worker);
    if (!gone.is_leaving()) {
        ++worker_deaths_;
        lose_worker(
            gone,
            {.reason = BreakReason::worker_died, .worker = worker, .pid = gone.pid, .exit = exit},
            begun,
            out
        );
    }
    settle(out);
}

void PoolFsm::initializer_failed(WorkerId worker, std::string_view text, PoolActions& out) {
    fault(worker, {.reason = BreakReason::initializer_failed, .text = std::string(text)}, 0, out);
}

void PoolFsm::worker_misbehaved(
    WorkerId worker, std::string_view text, std::size_t begun, PoolActions& out
) {
    fault(
        worker, {.reason = BreakReason::worker_misbehaved, .text = std::string(text)}, begun, out
    );
}

void PoolFsm::did_not_come(WorkerId id, Worker& worker, PoolActions& out) {
    if (worker.stopped) {
        kill(id, worker, true, out);
    } else {
        const ExitStatus killed{.exit_code = {}, .signal = SIGKILL};
        fault(id, {.reason = BreakReason::worker_did_not_come, .exit = killed}, 0, out);
    }
}

// The worker is of no use any more, and is ended.
void PoolFsm::fault(WorkerId id, Blame blame, std::size_t begun, PoolActions& out) {
    Worker* worker = find(id);
    if (worker == nullptr || worker->killed) {
        return;
    }
    if (!worker->stopped) {  // else it holds nothing, so nothing is lost
        blame.worker = id;
        blame.pid = worker->pid;
        ++worker_deaths_;
        lose_worker(*worker, std::move(blame), begun, out);
    }
    kill(id, *worker, true, out);
    settle(out);
}

// What becomes of the tasks of a worker that is lost, and of the pool.
void PoolFsm::lose_worker(Worker& worker, Blame blame, std::size_t begun, PoolActions& out) {
    begun = std::min(begun, worker.tasks.size());
    const bool breaks = !config_.replace_workers || blame.reason == BreakReason::initializer_failed;
    if (begun != 0) {
        // Those before it were cancelled at this very moment, or their answers never came.
        const PoolTask& running = worker.tasks[begun - 1];
        blame.task = running.id;
        blame.attempt = running.attempt;
    }
    const std::vector<PoolTask> tasks = release_tasks(worker, out);
    if (breaks) {
        std::ranges::for_each(tasks, [this](const PoolTask& task) { push_task(task); });
        break_pool(std::move(blame), out);
        return;
    }
    if (!worker.ready) {
        died_at_start(blame, out);
    }
    // It begins one after the other, so more than one only if it does not say what came of them.
    const std::size_t lost = std::max<std::size_t>(begun, 1);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        if (i < lost) {
            lose_task(tasks[i], begun != 0, blame, out);
        } else {
            requeue(tasks[i], out);
        }
    }
}

// Takes all tasks from a worker that gets no more.
std::vector<PoolTask> PoolFsm::release_tasks(Worker& worker, PoolActions& out) {
    std::vector<PoolTask> tasks(worker.tasks.begin(), worker.tasks.end());
    if (!tasks.empty()) {
        handed_over_ -= tasks.size();
        --busy_;
        worker.tasks.clear();
        clear_timer(worker.deadline, out);
        clear_timer(worker.stall_timer, out);
        worker.is_to_leave = true;
    }
    return tasks;
}

void PoolFsm::lose_task(PoolTask task, bool begun, Blame blame, PoolActions& out) {
    if (!begun && task.light && task.false_starts < forgiven_starts) {
        ++task.false_starts;
        requeue(task, out);
        return;
    }
    if (task.retries > 0) {
        --task.retries;
        ++retries_;
        ++task.attempt;
        requeue(task, out);
        return;
    }
    blame.task = task.id;
    blame.attempt = task.attempt;
    out.emplace_back(LoseTask{task.id, std::move(blame)});
}

void PoolFsm::died_at_start(const Blame& blame, PoolActions& out) {
    const bool none_is_ready = std::ranges::none_of(workers_, [](const auto& each) {
        return each.second.ready && !each.second.is_leaving();
    });
    if (++deaths_at_start_ >= hopeless_deaths_at_start && none_is_ready && queued_ != 0) {
        Blame cause = blame;
        if (cause.reason == BreakReason::worker_died ||
            cause.reason == BreakReason::worker_misbehaved) {
            cause.reason = BreakReason::workers_die_at_start;
        }
        break_pool(std::move(cause), out);
        return;
    }
    const unsigned doublings = std::min(deaths_at_start_ - 1, 10U);
    clear_timer(respawn_timer_, out);
    respawn_timer_ = set_timer(
        TimerUse::respawn,
        0,
        std::min(first_respawn_delay * (1U << doublings), longest_respawn_delay),
        out
    );
}

// --- the end ------------------------------------------------------------------------------------

void PoolFsm::shutdown(bool cancel_pending, PoolActions& out) {
    if (cancel_pending) {
        drops_pending_ = true;
        for (const auto& [id, worker] : workers_) {
            if (worker.tasks.size() > 1) {
                out.emplace_back(RecallTasks{id});
            }
        }
    }
    close(cancel_pending, out);
}

void PoolFsm::close(bool cancel_pending, PoolActions& out) {
    shut_down_ = true;
    refuse_waiting(out);
    if (cancel_pending) {
        for (const auto& [priority, tasks] : queue_) {
            for (const auto& [id, task] : tasks) {
                out.emplace_back(CancelTask{id});
            }
        }
        queue_.clear();
        queued_ = 0;
    }
    settle(out);
}

void PoolFsm::terminate(bool kill, PoolActions& out) {
    close(true, out);
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

void PoolFsm::stop(WorkerId id, Worker& worker, PoolActions& out) {
    if (worker.is_leaving()) {
        return;
    }
    withdraw(id, worker, out);
    worker.stopped = true;
    if (worker.started) {
        out.emplace_back(StopWorker{id});
    }
}

void PoolFsm::kill(WorkerId id, Worker& worker, bool force, PoolActions& out) {
    if (worker.killed && (worker.kill_by_force || !force)) {
        return;
    }
    withdraw(id, worker, out);
    worker.killed = true;
    worker.kill_by_force = force;
    if (worker.started) {
        out.emplace_back(KillWorker{id, force});
    }
}

// Counts the worker out of those that take tasks.
void PoolFsm::withdraw(WorkerId id, Worker& worker, PoolActions& out) {
    if (worker.is_leaving()) {
        return;
    }
    clear_timer(worker.idle_timer, out);
    clear_timer(worker.stall_timer, out);
    if (!worker.ready) {
        --starting_;
    } else if (worker.tasks.empty()) {
        std::erase(idle_, id);
    }
}

// The queue is ordered by submission, so a task that comes back finds its old place.
void PoolFsm::requeue(const PoolTask& task, PoolActions& out) {
    push_task(task);
    out.emplace_back(RequeueTask{task.id});
}

void PoolFsm::break_pool(Blame blame, PoolActions& out) {
    fail_all(std::move(blame), out);
    kill_all(true, out);
}

void PoolFsm::fail_all(Blame blame, PoolActions& out) {
    assert(!broken_);
    broken_ = true;
    out.emplace_back(BreakPool{std::move(blame)});
    refuse_waiting(out);
    for (auto& [id, worker] : workers_) {
        for (const PoolTask& task : release_tasks(worker, out)) {
            push_task(task);
        }
    }
    for (const auto& [priority, tasks] : queue_) {
        for (const auto& [id, task] : tasks) {
            out.emplace_back(FailTask{id});
        }
    }
    queue_.clear();
    queued_ = 0;
    clear_timer(respawn_timer_, out);
}

void PoolFsm::kill_all(bool force, PoolActions& out) {
    for (auto& [id, worker] : workers_) {
        kill(id, worker, force, out);
    }
}

void PoolFsm::refuse_waiting(PoolActions& out) {
    for (const auto& [id, task] : waiting_) {
        out.emplace_back(RefuseTask{id});
    }
    waiting_.clear();
}

}  // namespace cofutures::process
