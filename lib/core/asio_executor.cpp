#include <cofutures/asio_executor.hpp>

#include <cofutures/error.hpp>
#include <cofutures/detail/done_callback.hpp>

#include "core/cpu.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
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
    task.abandon(
        std::make_exception_ptr(BrokenExecutor("abandoned: the Asio executor dropped the task"))
    );
}

}  // namespace

PostedTask::~PostedTask() {
    if (task_ != nullptr) {
        abandon(*task_);
    }
}

// --- one task
// -------------------------------------------------------------------------------------

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
    }
    if (task->done()) {
        sink_->end();
    } else {
        // A coroutine that waits for something.
        when_done(*task, [sink = sink_](StateBase& /*task*/) { sink->end(); });
    }
}

AsioSink::~AsioSink() = default;

void AsioSink::submit(StatePtr task) {
    StateBase* const key = task.get();
    {
        const std::lock_guard lock(mutex_);
        if (!open_) {
            throw ShutdownError();
        }
        pending_.insert(key);
    }
    post(Handler(shared_from_this(), std::move(task)));
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
    const std::lock_guard lock(mutex_);
    --running_;
    if (is_idle()) {
        idle_.notify_all();
    }
}

void AsioSink::forget(StateBase* task) noexcept {
    const std::lock_guard lock(mutex_);
    if (pending_.erase(task) != 0 && is_idle()) {
        idle_.notify_all();
    }
}

// --- the whole
// ------------------------------------------------------------------------------------

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
    return is_inside();
}

bool AsioSink::runs_task_here() const noexcept {
    const RunningTask* task = RunningTask::innermost;
    while (task != nullptr && task->sink != this) {
        task = task->outer;
    }
    return task != nullptr;
}

void AsioSink::shutdown(bool wait, bool cancel_pending) {
    if (wait && runs_this_thread()) {
        throw DeadlockError("shutdown(wait=true) was called on a thread that runs the same Asio "
                            "executor, which would "
                            "wait for itself; call shutdown(false) there");
    }
    std::vector<StatePtr> cancelled;
    {
        const std::lock_guard lock(mutex_);
        open_ = false;
        if (cancel_pending) {
            cancelled.assign(pending_.begin(), pending_.end());
            pending_.clear();
            idle_.notify_all();
        }
    }
    for (const StatePtr& task : cancelled) {
        task->cancel();
    }
    if (wait) {
        std::unique_lock lock(mutex_);
        idle_.wait(lock, [this] { return is_idle(); });
    }
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
    throw std::logic_error("pending");
}

Future<void> AsioExecutor::begin_shutdown(bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

bool AsioExecutor::shutdown_until(const detail::Deadline& /*deadline*/, bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

}  // namespace cofutures
