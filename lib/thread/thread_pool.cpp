#include "thread/thread_pool.hpp"

#include <cofutures/error.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/detail/make_error.hpp>

#include "core/pool_of_context.hpp"
#include "core/report_task.hpp"
#include "core/wait_for_room.hpp"
#include "core/wait_graph.hpp"

#include <boost/assert.hpp>

#include <algorithm>
#include <utility>

namespace cofutures::thread {

namespace {

// A pool's exception for one future: an object of its own, with the initializer's nested in it.
std::exception_ptr broken_by(const std::exception_ptr& cause) {
    try {
        try {
            std::rethrow_exception(cause);
        } catch (...) {
            std::throw_with_nested(BrokenThreadPool(
                "A thread initializer failed, the thread pool is not usable anymore"
            ));
        }
    } catch (...) {
        return std::current_exception();
    }
}

bool has_limit(const TaskOptions* options) noexcept {
    return options != nullptr && options->timeout;
}

}  // namespace

ThreadPool::ThreadPool(Config config)
    : config_(std::move(config)),
      timer_(std::make_shared<detail::TaskTimer>()),
      drainers_allowed_(config_.max_threads) {
    detail::FutureAccess::state(ended_future_).set_place(&end());
    boost::asio::make_service<detail::PoolOfContext>(asio_, *this);
}

ThreadPool::~ThreadPool() {
    BOOST_ASSERT_MSG(queue_.empty(), "the executor shuts down before it lets go of the pool");
    // The last thread is left to join only if the executor was destroyed inside one of its own
    // tasks. It may be the one that gets here; then it has nothing left to do.
    if (left_.get_id() == std::this_thread::get_id()) {
        left_.detach();
    } else if (left_.joinable()) {
        left_.join();
    }
    timer_->join();
}

// --- taking tasks -------------------------------------------------------------------------------

void ThreadPool::check_process() const {
    if (!home_.is_here()) {
        throw BrokenThreadPool(
            "the thread pool belongs to the process that made it, and a forked child has none of "
            "its threads; make another pool in the child, or fork before the pool is made"
        );
    }
}

// Under the mutex.
void ThreadPool::check_not_broken() const {
    if (initializer_error_) {
        std::rethrow_exception(broken_by(initializer_error_));
    }
}

// Under the mutex.
void ThreadPool::check_open() const {
    check_not_broken();
    if (shut_down_) {
        throw ShutdownError();
    }
}

detail::StateBase::Marks ThreadPool::marks_for(const TaskOptions* options) const noexcept {
    return {
        .watched = config_.observer != nullptr || has_limit(options),
        .in_queue = config_.max_queue.has_value(),
    };
}

// What is needed before a task can be taken.
void ThreadPool::prepare(const TaskOptions* options) {
    check_process();
    if (has_limit(options)) {
        timer_->start();
    }
}

void ThreadPool::submit(detail::StatePtr task) {
    prepare(task->options());
    if (push_locally(task)) {
        return;
    }
    std::unique_lock lock(mutex_);
    check_open();
    take(lock, std::move(task));
}

void ThreadPool::enqueue(detail::StatePtr task) {
    if (!config_.max_queue || (config_.on_full == OnFull::block && runs_this_thread())) {
        submit(std::move(task));
    } else if (!try_enqueue(task)) {
        if (config_.on_full == OnFull::reject) {
            throw QueueFullError();
        }
        const Future<void> taken = enqueue_when_room(task);
        detail::wait_for_room(taken, *task, *this);
    }
}

bool ThreadPool::try_enqueue(detail::StatePtr task) {
    prepare(task->options());
    std::unique_lock lock(mutex_);
    check_open();
    if (!has_room_for_another()) {
        return false;
    }
    take(lock, std::move(task));
    return true;
}

Future<void> ThreadPool::enqueue_when_room(detail::StatePtr task) {
    prepare(task->options());
    Promise<void> taken;
    auto future = taken.get_future();
    std::unique_lock lock(mutex_);
    check_open();
    if (must_wait_for_room()) {
        room_waiters_.push_back({.task = std::move(task), .taken = std::move(taken)});
        return future;
    }
    take(lock, std::move(task));
    taken.set_result();
    return future;
}

// Takes a task that nobody else knows yet. Gives the mutex free.
void ThreadPool::take(std::unique_lock<std::mutex>& lock, detail::StatePtr task) {
    const TaskOptions* const options = task->options();
    if (config_.observer != nullptr) {
        task->enter(this, *this, marks_for(options));
        ++submitted_;
        ++announcing_;
        announce(lock, task);
        return;
    }
    detail::StateBase& entering = *task;
    const Call called = push(std::move(task));
    // Nobody takes it off the queue before the mutex is free.
    entering.enter(this, *this, marks_for(options));
    ++submitted_;
    lock.unlock();
    wake(called);
}

// Tells the observer of a task that was counted as taken, then queues it. Gives the mutex free.
void ThreadPool::announce(std::unique_lock<std::mutex>& lock, const detail::StatePtr& task) {
    lock.unlock();
    detail::report_queued(*config_.observer, *task);
    std::exception_ptr error;
    std::optional<Promise<void>> ended;
    Call called;
    lock.lock();
    try {
        if (initializer_error_) {
            error = broken_by(initializer_error_);
        } else {
            called = push(task);
        }
    } catch (...) {
        error = std::current_exception();  // no memory, no thread: the task is taken, and fails
    }
    --announcing_;
    let_threads_go();
    ended = take_ended();
    const bool was_counted_on = closed_.load(std::memory_order_relaxed);
    lock.unlock();
    wake(called);
    if (was_counted_on) {
        // For handlers, by way of the thread that this task might have brought.
        const std::lock_guard graph(detail::wait_graph_mutex);
        detail::refuse_endless_waits();
    }
    if (error && !task->abandon(std::move(error))) {
        report_if_cancelled(*task);
    }
    if (ended) {
        ended->set_result();
    }
}

// Under the mutex: queues a task, and calls somebody for it if need be. Throws, and queues nothing,
// if there is no thread and none can be started.
ThreadPool::Call ThreadPool::push(detail::StatePtr task) {
    const int priority = priority_of(*task);
    queue_.reserve(priority);
    collect();
    Call called;
    if (searching_ == 0 && queue_.size() >= arriving_) {
        called = call_for_help();
    }
    queue_.push(std::move(task), priority);
    queue_filled_.store(true, std::memory_order_relaxed);
    return called;
}

// --- what tasks tell ----------------------------------------------------------------------------

void ThreadPool::begun(detail::StateBase& task) noexcept {
    if (config_.observer != nullptr) {
        detail::report_started(*config_.observer, task);
    }
    timer_->begun(task);
    if (config_.max_queue) {
        begun_.fetch_add(1, std::memory_order_seq_cst);
        room_made();
    }
}

void ThreadPool::ended(detail::StateBase& task, bool failed) noexcept {
    if (has_limit(task.options())) {
        timer_->ended(task);
    }
    if (config_.observer != nullptr) {
        detail::report_finished(
            *config_.observer, task, failed ? TaskOutcome::raised : TaskOutcome::returned
        );
    }
}

std::shared_ptr<detail::TaskAccount> ThreadPool::cancelled() noexcept {
    cancelled_.fetch_add(1, std::memory_order_seq_cst);
    return room_wanted_.load(std::memory_order_seq_cst) ? weak_from_this().lock() : nullptr;
}

void ThreadPool::room_made() noexcept {
    if (!room_wanted_.load(std::memory_order_seq_cst) || !home_.is_here()) {
        return;
    }
    Call called;
    RoomWaiters admitted;
    {
        const std::lock_guard lock(mutex_);
        admitted = admit();
        if (!admitted.empty()) {
            called = call_for_more();
        }
    }
    wake(called);
    finish(std::move(admitted));
}

void ThreadPool::lost(detail::StateBase& task) noexcept {
    lost_.fetch_add(1, std::memory_order_seq_cst);
    if (config_.observer != nullptr) {
        detail::report_finished(*config_.observer, task, TaskOutcome::raised);
    }
    room_made();
}

void ThreadPool::report_if_cancelled(const detail::StateBase& task) noexcept {
    const detail::Phase phase = task.phase();
    if (config_.observer != nullptr && (phase == detail::Phase::cancelling || task.cancelled())) {
        detail::report_finished(*config_.observer, task, TaskOutcome::cancelled);
    }
}

// --- the whole ----------------------------------------------------------------------------------

ExecutorStats ThreadPool::stats() const {
    check_process();
    ExecutorStats stats;
    stats.timeouts = timer_->overruns();
    const std::lock_guard lock(mutex_);
    // No task is taken meanwhile, so whatever becomes of tasks, the sum is what was taken.
    stats.submitted = submitted_;
    for (const Worker& worker : workers_) {
        worker.submitted.lock();
        stats.submitted += worker.submitted.added();
    }
    const detail::TaskCounts counts = count_tasks();
    const std::uint64_t lost = lost_.load(std::memory_order_relaxed);
    stats.cancelled = cancelled_.load(std::memory_order_relaxed);
    for (const Worker& worker : workers_) {
        worker.submitted.unlock();
    }
    stats.completed = counts.completed;
    stats.failed = counts.failed + lost;
    stats.running = static_cast<std::size_t>(counts.begun - counts.completed - counts.failed);
    stats.queued =
        static_cast<std::size_t>(stats.submitted - counts.begun - stats.cancelled - lost);
    stats.workers = live_;
    stats.idle = stats.workers - std::min(stats.workers, counts.busy);
    return stats;
}

void ThreadPool::fail_initializer(Worker& self, const std::exception_ptr& cause) noexcept {
    TaskQueue failed;
    RoomWaiters refused;
    {
        const std::lock_guard lock(mutex_);
        Drainer& drainer = self.drainer;
        if (drainer.in_asio) {
            --attached_;  // if it was called, another thread in Asio is the drainer
            send_free_to_asio();
        } else if (std::exchange(drainer.is_called, false)) {
            --drainers_;
            arriving_ -= std::exchange(drainer.is_arriving, false) ? 1 : 0;
        } else {
            take_off_free_list(drainer);
        }
        if (!initializer_error_) {
            initializer_error_ = cause;
        }
        closed_.store(true, std::memory_order_release);
        decide_where_tasks_submit();
        collect_all();
        queue_filled_.store(false, std::memory_order_relaxed);
        std::swap(failed, queue_);
        std::swap(refused, room_waiters_);
        let_threads_go();
    }
    while (const detail::StatePtr task = failed.pop()) {
        if (!task->abandon(broken_by(cause))) {
            report_if_cancelled(*task);
        }
    }
    for (RoomWaiter& waiter : refused) {
        waiter.error = broken_by(cause);
    }
    finish(std::move(refused));
}

void ThreadPool::shutdown(bool wait, bool cancel_pending) {
    if (wait) {
        shutdown_until(std::nullopt, cancel_pending);
    } else {
        check_process();
        close(cancel_pending);
    }
}

Future<void> ThreadPool::begin_shutdown(bool cancel_pending) {
    check_process();
    close(cancel_pending);
    return ended_future_;
}

bool ThreadPool::shutdown_until(const detail::Deadline& deadline, bool cancel_pending) {
    check_process();
    if (runs_this_thread()) {
        throw DeadlockError(
            std::string(deadline ? "shutdown_for()" : "shutdown(wait=true)") +
            " was called inside a task of the same pool, which would wait for itself; call "
            "shutdown(false) there"
        );
    }
    close(cancel_pending);
    if (!detail::FutureAccess::state(ended_future_).wait(deadline)) {
        return false;
    }
    join_threads();
    return true;
}

void ThreadPool::shutdown_for_good() noexcept {
    close(false);
    detail::wait_for_end(detail::FutureAccess::state(ended_future_));
    join_threads();
}

void ThreadPool::close(bool cancel_pending) {
    TaskQueue cancelled;
    RoomWaiters refused;
    std::optional<Promise<void>> ended;
    {
        const std::lock_guard lock(mutex_);
        shut_down_ = true;
        closed_.store(true, std::memory_order_release);
        decide_where_tasks_submit();
        collect_all();
        if (cancel_pending) {
            std::swap(cancelled, queue_);
        }
        queue_filled_.store(true, std::memory_order_relaxed);  // who searches gives up at once
        std::swap(refused, room_waiters_);
        let_threads_go();
        ended = take_ended();
    }
    while (const detail::StatePtr task = cancelled.pop()) {
        task->cancel();
        report_if_cancelled(*task);
    }
    for (RoomWaiter& waiter : refused) {
        waiter.error = detail::make_error<ShutdownError>();
    }
    finish(std::move(refused));
    if (ended) {
        ended->set_result();
    }
}

// Under the mutex: lets threads leave when there will be no more calls. Those in Asio leave when no
// handler is left either; it must not be while a drainer is called and not yet posted, as Asio runs
// nothing that is posted after all threads were let go.
void ThreadPool::let_threads_go() noexcept {
    if (!shut_down_ || drainers_ != 0 || announcing_ != 0 || !queue_.empty()) {
        return;
    }
    if (std::exchange(threads_let_go_, true)) {
        return;  // once only: Boost 1.81 would count it twice
    }
    asio_.wait();
    for (Drainer* drainer = free_drainers_; drainer != nullptr; drainer = drainer->next_free) {
        drainer->changed.notify_one();
    }
}

// Under the mutex: the promise to keep, once, if this is the end of all.
std::optional<Promise<void>> ThreadPool::take_ended() noexcept {
    if (!shut_down_ || live_ != 0 || announcing_ != 0 || std::exchange(has_ended_, true)) {
        return std::nullopt;
    }
    return std::move(ended_);
}

// All threads have left; the last one may have yet to return.
void ThreadPool::join_threads() noexcept {
    const std::lock_guard joining(join_mutex_);
    std::thread last;
    {
        const std::lock_guard lock(mutex_);
        last = std::move(left_);
    }
    if (last.joinable()) {
        last.join();
    }
    timer_->join();
}

}  // namespace cofutures::thread
