#include "process/pool_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace cofutures::process {

namespace {

using namespace std::chrono_literals;

// A first task that has not ended for so long holds up those behind it, if an idle worker could
// have them. If none could, it may be the processor that the worker waits for: they are left there
// for longer, as everything that is taken back has to be sent again.
constexpr std::chrono::nanoseconds stall_time = 1ms;
constexpr unsigned patient_checks = 20;

// Between the oldest task of a worker and the newest, those that were taken back among them: less
// than the numbers that a ClaimTable tells apart.
constexpr std::size_t longest_reach = 128;

}  // namespace

PoolFsm::PoolFsm(const PoolFsmConfig& config) : config_(config), max_workers_(config.max_workers) {
    if (max_workers_ == 0) {
        throw std::invalid_argument("max_workers must be greater than 0");
    }
    if (config_.window == 0) {
        throw std::invalid_argument("window must be greater than 0");
    }
}

// --- tasks that come ----------------------------------------------------------------------------

Admission PoolFsm::submitted(const PoolTask& task, bool over_the_bound, PoolActions& out) {
    if (broken_ || shut_down_) {
        return Admission::refused;
    }
    if (!over_the_bound && (!waiting_.empty() || !has_room())) {
        return Admission::full;
    }
    push_task(task);
    settle(out);
    return Admission::taken;
}

bool PoolFsm::wait_for_room(const PoolTask& task, PoolActions& out) {
    if (broken_ || shut_down_) {
        return false;
    }
    waiting_.emplace_hint(waiting_.end(), task.id, task);
    settle(out);
    return true;
}

bool PoolFsm::has_room() const noexcept {
    if (config_.max_queue == PoolFsmConfig::unlimited) {
        return true;
    }
    const std::size_t waiting = queued_ + handed_over_ - busy_;
    const std::size_t to_come = max_workers_ > workers_.size() ? max_workers_ - workers_.size() : 0;
    return waiting < config_.max_queue + idle_.size() + starting_ + to_come;
}

bool PoolFsm::cancelled(TaskId task, PoolActions& out) {
    if (waiting_.erase(task) != 0) {
        settle(out);
        return true;
    }
    for (auto level = queue_.begin(); level != queue_.end(); ++level) {
        if (level->second.erase(task) != 0) {
            --queued_;
            if (level->second.empty()) {
                queue_.erase(level);
            }
            settle(out);
            return true;
        }
    }
    return false;
}

void PoolFsm::push_task(const PoolTask& task) {
    auto& level = queue_[task.priority];
    level.emplace_hint(level.end(), task.id, task);
    ++queued_;
}

PoolTask PoolFsm::pop_task() {
    const auto level = queue_.begin();
    const PoolTask task = level->second.begin()->second;
    level->second.erase(level->second.begin());
    if (level->second.empty()) {
        queue_.erase(level);
    }
    --queued_;
    return task;
}

// --- workers that come and work -----------------------------------------------------------------

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
    // Also if it is to leave: it will not see that before it has come.
    if (config_.start_timeout != 0ns && !found->kill_by_force) {
        found->deadline = set_timer(TimerUse::start, worker, config_.start_timeout, out);
    }
}

void PoolFsm::worker_arrived(WorkerId worker, PoolActions& out) {
    Worker* found = find(worker);
    if (found != nullptr && !found->ready) {
        clear_timer(found->deadline, out);
    }
}

void PoolFsm::send_nothing_ahead(WorkerId worker) {
    if (Worker* const found = find(worker)) {
        found->works_alone = true;
    }
}

void PoolFsm::worker_ready(WorkerId worker, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr || found->ready || found->is_leaving()) {
        return;
    }
    clear_timer(found->deadline, out);
    found->ready = true;
    --starting_;
    deaths_at_start_ = 0;
    became_free(worker, *found, out);
    settle(out);
}

void PoolFsm::spawn_failed(WorkerId worker, std::string_view text, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return;
    }
    withdraw(worker, *found, out);
    workers_.erase(worker);
    Blame blame{.reason = BreakReason::spawn_failed, .worker = worker, .text = std::string(text)};
    if (!workers_.empty()) {
        max_workers_ = workers_.size();
    } else if (config_.replace_workers) {
        died_at_start(blame, out);
    } else if (queued_ != 0) {
        break_pool(std::move(blame), out);
    }
    settle(out);
}

void PoolFsm::not_sent(WorkerId worker, TaskId task, PoolActions& out) {
    take_out(worker, task, false, out);
}

bool PoolFsm::cancelled_ahead(WorkerId worker, TaskId task, PoolActions& out) {
    return take_out(worker, task, true, out);
}

bool PoolFsm::take_out(WorkerId id, TaskId task, bool was_sent, PoolActions& out) {
    Worker* const worker = find(id);
    if (worker == nullptr) {
        return false;
    }
    const auto place = std::ranges::find(worker->tasks, task, &PoolTask::id);
    if (place == worker->tasks.end()) {
        return false;
    }
    worker->tasks.erase(place);
    if (!was_sent) {
        --worker->sent;
    }
    --handed_over_;
    if (worker->tasks.empty()) {
        --busy_;
        became_free(id, *worker, out);
    }
    settle(out);
    return true;
}

void PoolFsm::recalled(WorkerId worker, std::size_t count, PoolActions& out) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return;
    }
    assert(count < found->tasks.size());
    for (; count != 0; --count) {
        if (drops_pending_) {
            out.emplace_back(CancelTask{found->tasks.back().id});
        } else {
            requeue(found->tasks.back(), out);
        }
        found->tasks.pop_back();
        --handed_over_;
    }
    settle(out);
}

bool PoolFsm::task_finished(
    WorkerId worker, TaskId task, std::chrono::nanoseconds run_time, bool outgrown, PoolActions& out
) {
    Worker* found = find(worker);
    if (found == nullptr) {
        return false;
    }
    if (found->tasks.empty() || found->tasks.front().id != task) {
        fault(
            worker,
            {.reason = BreakReason::worker_misbehaved,
             .text = "it answered for a task it did not run"},
            std::min<std::size_t>(found->tasks.size(), 1),
            out
        );
        return false;
    }
    if (config_.window > 1) {
        run_times_.took(found->tasks.front().kind, run_time);
    }
    found->tasks.pop_front();
    --handed_over_;
    found->stalled = false;
    found->is_to_leave |= outgrown;
    if (found->tasks.empty()) {
        --busy_;
        became_free(worker, *found, out);
    }
    settle(out);
    return true;
}

// --- what every event ends with: hand out work, and let go whom nothing is left for -------------

void PoolFsm::settle(PoolActions& out) {
    do {
        dispatch(out);
    } while (admit(out));
    if (!shut_down_ || queued_ != 0) {
        return;
    }
    for (auto& [id, worker] : workers_) {
        if (worker.tasks.empty()) {
            stop(id, worker, out);
        }
    }
    if (workers_.empty() && !std::exchange(finished_, true)) {
        clear_timer(respawn_timer_, out);
        out.emplace_back(PoolFinished{});
    }
}

bool PoolFsm::admit(PoolActions& out) {
    bool admitted = false;
    while (!waiting_.empty() && has_room()) {
        const auto first = waiting_.begin();
        push_task(first->second);
        out.emplace_back(AdmitTask{first->first});
        waiting_.erase(first);
        admitted = true;
    }
    return admitted;
}

void PoolFsm::dispatch(PoolActions& out) {
    // The worker that became idle last has the warmest caches.
    while (queued_ != 0 && !idle_.empty()) {
        send(idle_.back(), workers_.at(idle_.back()), out);
    }
    while (queued_ > starting_ && workers_.size() < max_workers_ && respawn_timer_ == 0) {
        const WorkerId id = next_worker_++;
        workers_.emplace(id, Worker{});
        ++starting_;
        out.emplace_back(SpawnWorker{id});
    }
    // Nothing is sent ahead as long as a worker comes up that would begin it at once.
    while (config_.window > 1 && queued_ > starting_) {
        WorkerId id = 0;
        Worker* worker = least_loaded(next_task(), id);
        if (worker == nullptr) {
            break;
        }
        send(id, *worker, out);
    }
}

// Whether the task may be sent behind those that the worker has.
bool PoolFsm::can_follow(const Worker& worker, const PoolTask& task) const {
    if (worker.tasks.empty() || worker.stalled || worker.works_alone || worker.is_leaving() ||
        worker.is_to_leave || worker.sent >= config_.max_tasks_per_worker) {
        return false;
    }
    const PoolTask& first = worker.tasks.front();
    return worker.sent - first.number < longest_reach && first.timeout == 0ns &&
           worker.tasks.size() < config_.window &&
           worker.tasks.size() < run_times_.window(first.kind) &&
           (first.kind == task.kind || worker.tasks.size() < run_times_.window(task.kind));
}

PoolFsm::Worker* PoolFsm::least_loaded(const PoolTask& task, WorkerId& id) {
    if (!task.light || task.timeout != 0ns) {
        return nullptr;
    }
    Worker* best = nullptr;
    for (auto& [candidate, worker] : workers_) {
        if (can_follow(worker, task) &&
            (best == nullptr || worker.tasks.size() < best->tasks.size())) {
            id = candidate;
            best = &worker;
        }
    }
    return best;
}

void PoolFsm::send(WorkerId id, Worker& worker, PoolActions& out) {
    PoolTask task = pop_task();
    const bool ahead = !worker.tasks.empty();
    if (!ahead) {
        std::erase(idle_, id);
        clear_timer(worker.idle_timer, out);
        ++busy_;
    } else if (worker.stall_timer == 0) {
        worker.stall_task = worker.tasks.front().id;
        worker.stall_checks = 0;
        worker.stall_timer = set_timer(TimerUse::stall, id, stall_time, out);
    }
    task.number = ++worker.sent;
    worker.tasks.push_back(task);
    ++handed_over_;
    out.emplace_back(SendTask{id, task.id, ahead});
    if (task.timeout != 0ns) {
        worker.deadline = set_timer(TimerUse::task, id, task.timeout, out);
    }
}

// A ready worker without a task.
void PoolFsm::became_free(WorkerId id, Worker& worker, PoolActions& out) {
    clear_timer(worker.deadline, out);
    clear_timer(worker.stall_timer, out);
    if (worker.is_to_leave || worker.sent >= config_.max_tasks_per_worker) {
        stop(id, worker, out);
        return;
    }
    idle_.push_back(id);
    if (config_.idle_timeout != 0ns) {
        worker.idle_timer = set_timer(TimerUse::idle, id, config_.idle_timeout, out);
    }
}

// --- time ---------------------------------------------------------------------------------------

void PoolFsm::timer_expired(TimerId timer, PoolActions& out) {
    const auto found = timers_.find(timer);
    if (found == timers_.end()) {
        return;
    }
    const Timer expired = found->second;
    timers_.erase(found);
    if (expired.use == TimerUse::respawn) {
        respawn_timer_ = 0;
        settle(out);
        return;
    }
    Worker* const worker = find(expired.worker);
    assert(worker != nullptr && "a worker takes its timers along");
    switch (expired.use) {
    case TimerUse::start:
        worker->deadline = 0;
        did_not_come(expired.worker, *worker, out);
        break;
    case TimerUse::task:
        worker->deadline = 0;
        task_overran(expired.worker, *worker, out);
        break;
    case TimerUse::kill:
        worker->deadline = 0;
        kill(expired.worker, *worker, true, out);
        break;
    case TimerUse::idle:
        worker->idle_timer = 0;
        stop(expired.worker, *worker, out);
        break;
    case TimerUse::stall:
        worker->stall_timer = 0;
        head_stalls(expired.worker, *worker, out);
        break;
    case TimerUse::respawn:
        break;
    }
    settle(out);
}

// Nothing was sent behind a task with a limit.
void PoolFsm::task_overran(WorkerId id, Worker& worker, PoolActions& out) {
    assert(worker.tasks.size() == 1);
    out.emplace_back(TimeOutTask{worker.tasks.front().id});
    release_tasks(worker, out);
    kill(id, worker, false, out);
    worker.deadline = set_timer(TimerUse::kill, id, config_.termination_grace, out);
}

void PoolFsm::head_stalls(WorkerId id, Worker& worker, PoolActions& out) {
    if (worker.tasks.size() < 2) {
        return;
    }
    if (worker.tasks.front().id != worker.stall_task) {
        worker.stall_task = worker.tasks.front().id;
        worker.stall_checks = 0;
    } else if (!idle_.empty() || ++worker.stall_checks == patient_checks) {
        worker.stalled = true;
        out.emplace_back(RecallTasks{id});
        return;
    }
    worker.stall_timer = set_timer(TimerUse::stall, id, stall_time, out);
}

TimerId PoolFsm::set_timer(
    TimerUse use, WorkerId worker, std::chrono::nanoseconds delay, PoolActions& out
) {
    const TimerId timer = ++last_timer_;
    timers_.emplace(timer, Timer{use, worker});
    out.emplace_back(SetTimer{timer, delay});
    return timer;
}

void PoolFsm::clear_timer(TimerId& timer, PoolActions& out) {
    if (timer != 0 && timers_.erase(timer) != 0) {
        out.emplace_back(ClearTimer{timer});
    }
    timer = 0;
}

// --- asking -------------------------------------------------------------------------------------

PoolFsm::Worker* PoolFsm::find(WorkerId id) {
    const auto found = workers_.find(id);
    return found == workers_.end() ? nullptr : &found->second;
}

std::size_t PoolFsm::load(WorkerId worker) const {
    const auto found = workers_.find(worker);
    return found == workers_.end() ? 0 : found->second.tasks.size();
}

bool PoolFsm::runs(WorkerId worker, TaskId task) const {
    const auto found = workers_.find(worker);
    return found != workers_.end() && !found->second.tasks.empty() &&
           found->second.tasks.front().id == task;
}

std::vector<TaskId> PoolFsm::tasks_of(WorkerId worker) const {
    std::vector<TaskId> tasks;
    if (const auto found = workers_.find(worker); found != workers_.end()) {
        tasks.reserve(found->second.tasks.size());
        std::ranges::transform(found->second.tasks, std::back_inserter(tasks), &PoolTask::id);
    }
    return tasks;
}

}  // namespace cofutures::process
