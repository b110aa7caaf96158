#include <cofutures/asio_executor.hpp>

#include <cofutures/error.hpp>
#include <cofutures/detail/done_callback.hpp>
#include <cofutures/detail/make_error.hpp>

#include "core/cpu.hpp"
#include "core/report_task.hpp"
#include "core/task_account.hpp"
#include "core/task_place.hpp"
#include "core/task_timer.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace cofutures {

namespace detail {

namespace {

// The executors whose tasks this thread runs, the innermost first.
struct RunningTask {
    explicit RunningTask(const AsioSink* of) noexcept : sink(of), outer(innermost) {
        innermost = this;
    }
    RunningTask(const RunningTask&) = delete;
    RunningTask& operator=(const RunningTask&) = delete;
    ~RunningTask() { innermost = outer; }

    const AsioSink* const sink;
    const RunningTask* const outer;

    static thread_local constinit const RunningTask* innermost;
};

constinit thread_local const RunningTask* RunningTask::innermost = nullptr;

void abandon(StateBase& task) noexcept {
    task.abandon(make_error<BrokenExecutor>("abandoned: the Asio executor dropped the task"));
}

}  // namespace

PostedTask::~PostedTask() {
    if (task_ != nullptr) {
        abandon(*task_);
    }
}

// --- counting -----------------------------------------------------------------------------------

/// Counts an executor's tasks, and tells its observer and its timer of them.
class AsioSink::Account final : public TaskAccount {
public:
    explicit Account(std::shared_ptr<ExecutorObserver> observer)
        : observer_(std::move(observer)), timer_(std::make_shared<TaskTimer>()) {}
    ~Account() override { timer_->join(); }

    /// What a task needs before it can be taken.
    void prepare(const StateBase& task) {
        if (task.options() != nullptr && task.options()->timeout) {
            timer_->start();
        }
    }

    void taken(StateBase& task, const TaskPlace* place) noexcept {
        task.enter(place, *this, {.watched = true});
        const std::lock_guard lock(mutex_);
        ++submitted_;
    }

    void queued(const StateBase& task) noexcept {
        if (observer_ != nullptr) {
            report_queued(*observer_, task);
        }
    }

    void begun(StateBase& task) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            ++running_;
        }
        if (observer_ != nullptr) {
            report_started(*observer_, task);
        }
        timer_->begun(task);
    }

    void ended(StateBase& task, bool failed) noexcept override {
        timer_->ended(task);
        {
            const std::lock_guard lock(mutex_);
            --running_;
            ++(failed ? failed_ : completed_);
        }
        if (observer_ != nullptr) {
            report_finished(*observer_, task, failed ? TaskOutcome::raised : TaskOutcome::returned);
        }
    }

    std::shared_ptr<TaskAccount> cancelled() noexcept override {
        cancelled_.fetch_add(1, std::memory_order_relaxed);
        return nullptr;
    }

    void lost(StateBase& task) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            ++lost_;
        }
        if (observer_ != nullptr) {
            report_finished(*observer_, task, TaskOutcome::raised);
        }
    }

    void report_if_cancelled(const StateBase& task) noexcept {
        if (observer_ != nullptr && (task.phase() == Phase::cancelling || task.cancelled())) {
            report_finished(*observer_, task, TaskOutcome::cancelled);
        }
    }

    void end() noexcept { timer_->stop(); }
    void join() noexcept { timer_->join(); }

    [[nodiscard]] ExecutorStats stats() const {
        ExecutorStats stats;
        stats.timeouts = timer_->overruns();
        const std::lock_guard lock(mutex_);
        const std::uint64_t begun = running_ + completed_ + failed_;
        stats.cancelled = cancelled_.load(std::memory_order_relaxed);
        stats.submitted = submitted_;
        stats.running = running_;
        stats.completed = completed_;
        stats.failed = failed_ + lost_;
        stats.queued = static_cast<std::size_t>(submitted_ - begun - lost_ - stats.cancelled);
        return stats;
    }

private:
    const std::shared_ptr<ExecutorObserver> observer_;
    const std::shared_ptr<TaskTimer> timer_;
    std::atomic<std::uint64_t> cancelled_{0};

    mutable std::mutex mutex_;  // guards the block that follows
    std::uint64_t submitted_ = 0;
    std::size_t running_ = 0;
    std::uint64_t completed_ = 0;
    std::uint64_t failed_ = 0;
    std::uint64_t lost_ = 0;
};

// --- one task -----------------------------------------------------------------------------------

AsioSink::Handler::~Handler() {
    if (task_ != nullptr) {
        abandon(*task_);
        sink_->forget(task_.get());
    }
}

void AsioSink::Handler::operator()() noexcept {
    const StatePtr task = std::exchange(task_, nullptr);
    if (!sink_->begin(task.get())) {
        return;
    }
    {
        const RunningTask running(sink_.get());
        task->run();
        sink_->account_->report_if_cancelled(*task);
    }
    if (task->done()) {
        sink_->end();
    } else {
        // A coroutine that waits for something.
        when_done(*task, [sink = sink_](StateBase& /*task*/) { sink->end(); });
    }
}

AsioSink::AsioSink(std::shared_ptr<ExecutorObserver> observer, const TaskPlace* place)
    : account_(std::make_unique<Account>(std::move(observer))), place_(place) {}

AsioSink::~AsioSink() = default;

void AsioSink::submit(StatePtr task) {
    account_->prepare(*task);
    StateBase* const key = task.get();
    {
        const std::lock_guard lock(mutex_);
        if (!open_) {
            throw ShutdownError();
        }
        account_->taken(*task, place_);
        ++running_;  // being submitted; a shutdown waits, and does not cancel it yet
    }
    account_->queued(*task);
    Handler handler(shared_from_this(), std::move(task));
    {
        const std::lock_guard lock(mutex_);
        --running_;
        pending_.insert(key);
    }
    post(std::move(handler));
}

boost::asio::any_io_executor AsioSink::make_strand() const {
    {
        const std::lock_guard lock(mutex_);
        if (!open_) {
            throw ShutdownError();  // and the context may be gone
        }
    }
    boost::asio::any_io_executor made = strand();
    if (!made) {
        throw Error("coroutines cannot be run by an Asio executor without a context for timers");
    }
    return made;
}

// Says whether the task is to be run: it was not cancelled by a shutdown.
bool AsioSink::begin(StateBase* task) {
    const std::lock_guard lock(mutex_);
    if (pending_.erase(task) == 0) {
        return false;
    }
    ++running_;
    return true;
}

void AsioSink::end() noexcept {
    std::optional<Promise<void>> ended;
    {
        const std::lock_guard lock(mutex_);
        --running_;
        ended = take_ended();
    }
    if (ended) {
        ended->set_result();
    }
}

void AsioSink::forget(StateBase* task) noexcept {
    std::optional<Promise<void>> ended;
    bool was_pending = false;
    {
        const std::lock_guard lock(mutex_);
        was_pending = pending_.erase(task) != 0;
        ended = take_ended();
    }
    if (was_pending) {
        account_->report_if_cancelled(*task);
    }
    if (ended) {
        ended->set_result();
    }
}

// --- the whole ----------------------------------------------------------------------------------

std::size_t AsioSink::worker_count() const noexcept {
    return usable_cpus();  // Asio does not tell how many threads run a context
}

bool AsioSink::runs_this_thread() const noexcept {
    if (runs_task_here()) {
        return true;
    }
    {
        const std::lock_guard lock(mutex_);
        if (is_idle()) {
            return false;  // and the context may be gone
        }
    }
    const WorkerContext* const worker = WorkerContext::current();
    return is_inside() ||
           (worker != nullptr && place_ != nullptr && &worker->pool() == &place_->pool());
}

bool AsioSink::runs_task_here() const noexcept {
    const RunningTask* task = RunningTask::innermost;
    while (task != nullptr && task->sink != this) {
        task = task->outer;
    }
    return task != nullptr;
}

void AsioSink::shutdown(bool wait, bool cancel_pending) {
    if (wait) {
        shutdown_until(std::nullopt, cancel_pending);
    } else {
        close(cancel_pending);
    }
}

Future<void> AsioSink::begin_shutdown(bool cancel_pending) {
    close(cancel_pending);
    return ended_future_;
}

bool AsioSink::shutdown_until(const Deadline& deadline, bool cancel_pending) {
    if (runs_this_thread()) {
        throw DeadlockError(
            std::string(deadline ? "shutdown_for()" : "shutdown(wait=true)") +
            " was called on a thread that runs the same Asio executor, which would wait for "
            "itself; call shutdown(false) there"
        );
    }
    close(cancel_pending);
    if (!FutureAccess::state(ended_future_).wait(deadline)) {
        return false;
    }
    account_->join();
    return true;
}

ExecutorStats AsioSink::stats() const {
    return account_->stats();
}

void AsioSink::close(bool cancel_pending) {
    std::vector<StatePtr> cancelled;
    std::optional<Promise<void>> ended;
    {
        const std::lock_guard lock(mutex_);
        if (cancel_pending) {
            cancelled.assign(pending_.begin(), pending_.end());
            pending_.clear();
        }
        open_ = false;
        ended = take_ended();
    }
    for (const StatePtr& task : cancelled) {
        task->cancel();
        account_->report_if_cancelled(*task);
    }
    if (ended) {
        ended->set_result();
    }
}

// Under the mutex: the promise to keep, once, if this is the end of all.
std::optional<Promise<void>> AsioSink::take_ended() noexcept {
    if (open_ || !is_idle() || std::exchange(has_ended_, true)) {
        return std::nullopt;
    }
    account_->end();
    return std::move(ended_);
}

}  // namespace detail

AsioExecutor::~AsioExecutor() {
    // Inside the Asio executor it cannot wait: what was submitted runs without it then.
    sink_->shutdown(!sink_->runs_this_thread(), false);
}

void AsioExecutor::shutdown(bool wait, bool cancel_futures) {
    sink_->shutdown(wait, cancel_futures);
}

void AsioExecutor::enqueue(detail::StatePtr task) {
    sink_->submit(std::move(task));
}

boost::asio::any_io_executor AsioExecutor::make_strand() {
    return sink_->make_strand();
}

std::shared_ptr<detail::TaskSink> AsioExecutor::task_sink() {
    return sink_;
}

ExecutorStats AsioExecutor::stats() const {
    return sink_->stats();
}

Future<void> AsioExecutor::begin_shutdown(bool cancel_futures) {
    return sink_->begin_shutdown(cancel_futures);
}

bool AsioExecutor::shutdown_until(const detail::Deadline& deadline, bool cancel_futures) {
    return sink_->shutdown_until(deadline, cancel_futures);
}

}  // namespace cofutures
