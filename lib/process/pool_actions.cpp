#include <cofutures/detail/make_error.hpp>

#include "process/pool_afterwork.hpp"
#include "process/pool_ahead.hpp"
#include "process/pool_presence.hpp"
#include "process/process_pool.hpp"

#include <boost/asio/post.hpp>
#include <boost/assert.hpp>

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <utility>
#include <variant>

namespace cofutures::process {

namespace {

template <class... Fns>
struct Overloaded : Fns... {
    using Fns::operator()...;
};
template <class... Fns>
Overloaded(Fns...) -> Overloaded<Fns...>;

std::string text_of(BreakReason reason) {
    switch (reason) {
    case BreakReason::worker_died:
        return "A process in the process pool was terminated abruptly while the future was running "
               "or pending";
    case BreakReason::worker_misbehaved:
        return "A worker process sent what no worker sends";
    case BreakReason::worker_did_not_come:
        return "A worker process did not come to freeze_support() within start_timeout";
    case BreakReason::initializer_failed:
        return "A process initializer failed, the process pool is not usable anymore";
    case BreakReason::spawn_failed:
        return "A worker process could not be started";
    case BreakReason::workers_die_at_start:
        return "Worker processes die as soon as they are started, five one after the other; the "
               "last one";
    case BreakReason::terminated:
        break;
    }
    return "The workers were terminated";
}

std::string with_text(const std::string& message, const Blame& blame) {
    return blame.text.empty() ? message : message + ": " + blame.text;
}

std::string in_seconds(std::chrono::nanoseconds time) {
    std::ostringstream text;
    text << std::setprecision(9) << std::chrono::duration<double>(time).count() << " s";
    return text.str();
}

}  // namespace

std::exception_ptr ProcessPool::Loss::make_error() const noexcept {
    try {
        switch (kind) {
        case Kind::overran:
            throw TaskTimeoutError(message);
        case Kind::worker_died:
            throw WorkerDiedError(message, worker);
        case Kind::broken:
            break;
        }
        if (worker.pid == 0) {
            throw BrokenProcessPool(message);
        }
        throw BrokenProcessPool(message, worker);
    } catch (...) {
        return std::current_exception();
    }
}

// --- giving up ----------------------------------------------------------------------------------

// A BrokenProcessPool with the cause nested; the cause alone if there is no memory for more.
std::exception_ptr ProcessPool::broken_by(const std::exception_ptr& cause) noexcept {
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        try {
            std::throw_with_nested(BrokenProcessPool("The process pool itself failed"));
        } catch (...) {
            return std::current_exception();
        }
    }
}

// In a catch handler, with whatever was being decided or done left half done.
void ProcessPool::give_up() noexcept {
    give_up(std::current_exception());
}

// Allocates nothing that it cannot do without, as it may be memory that ran out.
void ProcessPool::give_up(std::exception_ptr cause) noexcept {
    std::unordered_map<TaskId, Entry> entries;
    std::unordered_map<TaskId, Waiting> waiting;
    bool started = false;
    {
        const std::lock_guard lock(mutex_);
        if (failure_ == nullptr) {
            failure_ = std::move(cause);
        }
        cause = failure_;
        entries.swap(entries_);
        waiting.swap(waiting_);
        started = started_;
        for (auto& [id, entry] : entries) {
            unwatch(entry);
            const bool claimed = entry.claim();
            entry.task->come_back();
            if (claimed) {
                ++books_.failed;
            } else {
                ++books_.cancelled;
                entry.task = nullptr;
            }
        }
    }
    for (const auto& [id, entry] : entries) {
        if (entry.task != nullptr) {
            dropped(entry, TaskOutcome::raised);
            entry.task->finish_with_error(broken_by(cause));
        }
    }
    for (auto& [id, each] : waiting) {
        unwatch(each.entry);
        dropped(each.entry, TaskOutcome::cancelled);
        end(each.taken, broken_by(cause));
    }
    if (!started) {
        finish();
    } else if (io_) {
        io_->stop();  // the manager goes, and takes the workers with it
    } else {
        try {
            boost::asio::post(executor_, [this, kept = keep()] { end_channels(); });
        } catch (...) {  // then they end with the context, or with what they wait for
            return;
        }
    }
}

// --- performing ---------------------------------------------------------------------------------

void ProcessPool::perform(PoolActions& actions, Afterwork& afterwork) {
    // Performing may append: a task that turns out to be cancelled makes room for another.
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const PoolAction action = std::move(actions[i]);
        std::visit(
            Overloaded{
                [this](const SpawnWorker& spawn) {
                    boost::asio::post(executor_, [this, kept = keep(), worker = spawn.worker] {
                        start_worker(worker);
                    });
                },
                [&](const SendTask& send) { perform_send(send, actions, afterwork); },
                [&](const RecallTasks& recall) { perform_recall(recall, actions); },
                [&](const StopWorker& stop) { perform_stop(stop, afterwork); },
                [this](const KillWorker& kill) {
                    if (const auto found = channels_.find(kill.worker); found != channels_.end()) {
                        boost::asio::post(
                            executor_,
                            [channel = found->second.channel, force = kill.force] {
                                channel->kill(force);
                            }
                        );
                    }
                },
                [this](const BreakPool& broken) { perform_break(broken); },
                [&](const FailTask& fail) { perform_end(fail.task, breakage_, afterwork); },
                [&](const LoseTask& lose) { perform_end(lose.task, make_loss(lose), afterwork); },
                [this](const RequeueTask& requeue) { perform_requeue(requeue); },
                [&](const TimeOutTask& overrun) {
                    ++books_.timeouts;
                    perform_end(overrun.task, make_overrun(overrun.task), afterwork);
                },
                [&](const CancelTask& cancel) {
                    afterwork.cancelled.emplace_back();
                    afterwork.cancelled.back() = take_entry(cancel.task);
                    ++books_.cancelled;
                },
                [&](const AdmitTask& admit) { perform_admit(admit, afterwork); },
                [&](const RefuseTask& refuse) { perform_refuse(refuse, afterwork); },
                [this](const SetTimer& timer) {
                    timers_.add(
                        timer.timer,
                        detail::deadline_after(timer.delay).value_or(TimerQueue::Time::max())
                    );
                },
                [this](const ClearTimer& timer) { timers_.remove(timer.timer); },
                [&](const PoolFinished&) {
                    if (started_) {
                        boost::asio::post(executor_, [this, kept = keep()] { leave(); });
                    } else {
                        afterwork.finished = true;
                    }
                },
            },
            action
        );
    }
}

void ProcessPool::perform_send(const SendTask& action, PoolActions& actions, Afterwork& afterwork) {
    Entry& entry = entries_.at(action.task);
    if (!hand_over(action, entry)) {  // cancelled meanwhile
        afterwork.cancelled.emplace_back();
        afterwork.cancelled.back() = take_entry(action.task);
        ++books_.cancelled;
        fsm_.not_sent(action.worker, action.task, actions);
        return;
    }
    unwatch(entry);
    const Connection& connection = channels_.at(action.worker);
    if (config_.observer) {
        afterwork.started.push_back(
            {action.task, entry.name(), "worker " + std::to_string(connection.pid)}
        );
    }
    entry.pid = connection.pid;
    connection.channel->announced();
    if (entry.traits.light || entry.traits.retries > 0) {
        connection.channel->enqueue(std::span<const std::byte>(entry.frame));
    } else {
        connection.channel->enqueue(std::exchange(entry.frame, {}));
    }
    afterwork.to_flush.push_back(connection.channel);
}

// The task of an idle worker runs as good as at once; any other is claimed when it has run.
bool ProcessPool::hand_over(const SendTask& action, Entry& entry) {
    const Connection& connection = channels_.at(action.worker);
    entry.number = connection.channel->offer_task();
    return action.ahead ? entry.task->send_ahead(connection.ahead, entry.number, action.task)
                        : entry.task->try_claim();
}

// The worker begins one task after the other, so those that it has not begun are the last ones. The
// first one stays: it may be about to begin.
void ProcessPool::perform_recall(const RecallTasks& action, PoolActions& actions) {
    const std::vector<TaskId> tasks = fsm_.tasks_of(action.worker);
    ClaimTable& claims = *channels_.at(action.worker).channel->claims();
    std::size_t count = 0;
    while (count + 1 < tasks.size() &&
           claims.prevent(entries_.at(tasks[tasks.size() - 1 - count]).number)) {
        ++count;
    }
    fsm_.recalled(action.worker, count, actions);
}

void ProcessPool::perform_stop(const StopWorker& action, Afterwork& afterwork) {
    const auto& channel = channels_.at(action.worker).channel;
    std::vector<std::byte> frame;
    append_frame(frame, FrameKind::stop, 0);
    channel->enqueue(std::move(frame));
    afterwork.to_flush.push_back(channel);
}

void ProcessPool::perform_break(const BreakPool& action) {
    breakage_ = std::make_shared<const Loss>(Loss{
        .kind = Loss::Kind::broken,
        .message = with_text(text_of(action.blame.reason), action.blame),
        .worker = describe(action.blame)});
}

void ProcessPool::perform_end(TaskId task, std::shared_ptr<const Loss> loss, Afterwork& afterwork) {
    afterwork.ended.reserve(afterwork.ended.size() + 1);
    afterwork.cancelled.reserve(afterwork.cancelled.size() + 1);
    const bool claimed = entries_.at(task).claim();
    Entry entry = take_entry(task);
    if (claimed) {
        ++books_.failed;
        afterwork.ended.push_back({std::move(entry), std::move(loss)});
    } else {
        ++books_.cancelled;
        afterwork.cancelled.push_back(std::move(entry));
    }
}

void ProcessPool::perform_requeue(const RequeueTask& action) {
    Entry& entry = entries_.at(action.task);
    entry.pid = 0;
    entry.task->unclaim();
    watch(action.task, entry);
}

void ProcessPool::perform_admit(const AdmitTask& action, Afterwork& afterwork) {
    afterwork.admitted.reserve(afterwork.admitted.size() + 1);
    Waiting& waiting = waiting_.at(action.task);
    entries_[action.task] = std::move(waiting.entry);
    ++books_.submitted;
    afterwork.admitted.push_back(std::move(waiting.taken));
    waiting_.erase(action.task);
}

void ProcessPool::perform_refuse(const RefuseTask& action, Afterwork& afterwork) {
    Waiting& waiting = waiting_.at(action.task);
    afterwork.refused.emplace_back(
        Waiting{}, breakage_ ? breakage_->make_error() : detail::make_error<ShutdownError>()
    );
    unwatch(waiting.entry);
    afterwork.refused.back().first = std::move(waiting);
    waiting_.erase(action.task);
}

std::shared_ptr<const ProcessPool::Loss> ProcessPool::make_loss(const LoseTask& action) const {
    return std::make_shared<const Loss>(Loss{
        .kind = Loss::Kind::worker_died,
        .message = with_text(
            action.blame.reason == BreakReason::worker_died
                ? "The worker process that ran the task was terminated abruptly"
                : text_of(action.blame.reason),
            action.blame
        ),
        .worker = describe(action.blame)});
}

std::shared_ptr<const ProcessPool::Loss> ProcessPool::make_overrun(TaskId task) const {
    const Entry& entry = entries_.at(task);
    return std::make_shared<const Loss>(Loss{
        .kind = Loss::Kind::overran,
        .message = "\"" + entry.name() + "\" ran for longer than its limit of " +
                   in_seconds(entry.traits.timeout) + ", and its worker process was ended"});
}

WorkerExit ProcessPool::describe(const Blame& blame) const {
    WorkerExit exit =
        make_worker_exit(blame.pid, blame.exit, blame.task ? entries_.at(*blame.task).name() : "");
    exit.attempt = blame.attempt;
    return exit;
}

// --- entries ------------------------------------------------------------------------------------

ProcessPool::Entry ProcessPool::take_entry(TaskId task) {
    const auto found = entries_.find(task);
    BOOST_ASSERT(found != entries_.end());
    Entry entry = std::move(found->second);
    entries_.erase(found);
    unwatch(entry);
    entry.task->come_back();
    return entry;
}

// Only where somebody may wait for the room that a cancelled task makes.
void ProcessPool::watch(TaskId id, Entry& entry) {
    if (config_.decisions.max_queue == PoolFsmConfig::unlimited) {
        return;
    }
    auto watch = std::make_unique<CancelWatch>(shared_from_this(), id);
    if (entry.task->add(*watch)) {
        entry.watch = watch.release();
    }
}

// If the future is cancelled already the watch is being told, and looks after itself.
void ProcessPool::unwatch(Entry& entry) noexcept {
    if (CancelWatch* watch = std::exchange(entry.watch, nullptr);
        watch != nullptr && entry.task->remove(*watch)) {
        delete watch;
    }
}

// By whoever cancelled it, before its end is known.
void ProcessPool::ahead_cancelled(WorkerId worker, TaskId task) noexcept {
    std::vector<Entry> cancelled;
    decide([&](PoolActions& actions) {
        cancelled.reserve(1);
        // Else the worker has died or gone on meanwhile, and it was found to be cancelled.
        if (entries_.contains(task) &&
            (fsm_.cancelled_ahead(worker, task, actions) || fsm_.cancelled(task, actions))) {
            cancelled.push_back(take_entry(task));
            ++books_.cancelled;
        }
    });
}

// By whoever cancelled it.
void ProcessPool::task_cancelled(TaskId task) noexcept {
    std::vector<Waiting> waited;
    decide([&](PoolActions& actions) {
        waited.reserve(1);
        if (!fsm_.cancelled(task, actions)) {
            return;
        }
        if (const auto found = waiting_.find(task); found != waiting_.end()) {
            found->second.entry.watch = nullptr;
            waited.push_back(std::move(found->second));
            waiting_.erase(found);
        } else {
            Entry& entry = entries_.at(task);
            entry.watch = nullptr;
            ++books_.cancelled;
            waited.push_back({.entry = std::move(entry), .taken = {}});
            entries_.erase(task);
        }
    });
    for (Waiting& each : waited) {
        dropped(each.entry, TaskOutcome::cancelled);
        end(each.taken, nullptr);
    }
}

}  // namespace cofutures::process
