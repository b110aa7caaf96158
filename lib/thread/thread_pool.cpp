#include "thread/thread_pool.hpp"

#include <cofutures/error.hpp>

#include "core/spin.hpp"
#include "core/thread_name.hpp"

#include <boost/asio/post.hpp>
#include <boost/assert.hpp>

#include <chrono>
#include <utility>

namespace cofutures::thread {

namespace {

using Clock = std::chrono::steady_clock;

// How long a drainer stays before it gives way to other handlers of the Asio pool.
constexpr auto turn_length = std::chrono::microseconds(100);

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

}  // namespace

ThreadPool::ThreadPool(Config config) : config_(std::move(config)) {}

ThreadPool::~ThreadPool() {
    BOOST_ASSERT_MSG(queue_.empty(), "the executor shuts down before it lets go of the pool");
    // Threads are left only if the executor was destroyed inside one of its own tasks. The last of
    // them to end is the one that gets here; it cannot join itself, and has nothing left to do.
    for (Worker& worker : workers_) {
        if (worker.thread.get_id() == std::this_thread::get_id()) {
            worker.thread.detach();
        } else if (worker.thread.joinable()) {
            worker.thread.join();
        }
    }
}

// --- submitting ---------------------------------------------------------------------------------

void ThreadPool::check_open() const {
    if (initializer_error_) {
        std::rethrow_exception(broken_by(initializer_error_));
    }
    if (shut_down_) {
        throw ShutdownError();
    }
}

void ThreadPool::submit(detail::StatePtr task) {
    task->set_place(this);
    Drainer* called = nullptr;
    {
        const std::lock_guard lock(mutex_);
        check_open();
        if (searching_ == 0 && queue_.size() >= arriving_) {
            called = call_for_help();
        }
        queue_.push(std::move(task));
        queue_filled_.store(true, std::memory_order_relaxed);
    }
    wake(called);
}

// Under the mutex: takes one more drainer, of an idle thread or a new one; null if there is none.
// The caller wakes it when the mutex is free.
Drainer* ThreadPool::call_for_help() {
    if (free_drainers_ == nullptr && workers_.size() < config_.max_threads) {
        try {
            start_thread();
        } catch (...) {
            if (workers_.empty()) {
                throw;
            }
            // Those that there are will do the work.
        }
    }
    Drainer* drainer = free_drainers_;
    if (drainer != nullptr) {
        free_drainers_ = drainer->next_free;
        ++drainers_;
        drainer->is_arriving = true;
        ++arriving_;
    }
    return drainer;
}

// Under the mutex.
void ThreadPool::start_thread() {
    Worker& worker = workers_.emplace_back([self = shared_from_this(), index = workers_.size()] {
        self->run_thread(index);
    });
    worker.drainer.next_free = std::exchange(free_drainers_, &worker.drainer);
}

struct ThreadPool::Drain {
    using allocator_type = Drainer::Allocator<void>;

    allocator_type get_allocator() const noexcept { return allocator_type(*drainer); }
    void operator()() const noexcept { pool->drain(*drainer); }

    ThreadPool* pool;
    Drainer* drainer;
};

void ThreadPool::wake(Drainer* drainer) noexcept {
    if (drainer != nullptr) {
        boost::asio::post(asio_, Drain{this, drainer});
    }
}

// --- threads ------------------------------------------------------------------------------------

void ThreadPool::run_thread(std::size_t index) noexcept {
    const detail::WorkerContext context(*this);
    detail::name_this_thread(config_.name_prefix, index);
    if (config_.initializer) {
        try {
            config_.initializer();
        } catch (...) {
            fail_initializer(std::current_exception());
            return;
        }
    }
    asio_.attach();
}

// A thread that is there only as another one's stack is full goes by that one's name.
void ThreadPool::prepare_substitute() {
    if (config_.initializer) {
        config_.initializer();
    }
}

void ThreadPool::fail_initializer(std::exception_ptr cause) noexcept {
    TaskQueue failed;
    {
        const std::lock_guard lock(mutex_);
        if (!initializer_error_) {
            initializer_error_ = cause;
        }
        queue_filled_.store(false, std::memory_order_relaxed);
        std::swap(failed, queue_);
    }
    while (const detail::StatePtr task = failed.pop()) {
        task->abandon(broken_by(cause));
    }
}

// --- draining -----------------------------------------------------------------------------------

void ThreadPool::drain(Drainer& drainer) noexcept {
    const bool limited = shared_with_asio_.load(std::memory_order_relaxed);
    // Handlers that come up in the middle of an unlimited turn get theirs after the task.
    const auto end_of_turn = limited ? Clock::now() + turn_length : Clock::time_point::min();
    while (const detail::StatePtr task = next_task(drainer)) {
        task->run();
        // A task that runs on is a coroutine, whose handlers may be among those that wait.
        if (shared_with_asio_.load(std::memory_order_relaxed) &&
            (task->running() || Clock::now() >= end_of_turn)) {
            wake(&drainer);  // go on behind those that wait for their turn
            return;
        }
    }
}

// The next task to run; null if there is none, and the caller is then no drainer any more.
detail::StatePtr ThreadPool::next_task(Drainer& drainer) noexcept {
    std::unique_lock lock(mutex_);
    if (std::exchange(drainer.is_arriving, false)) {
        --arriving_;
    }
    if (queue_.empty() && searching_ == 0) {
        ++searching_;
        lock.unlock();
        detail::spin_until([this] { return queue_filled_.load(std::memory_order_relaxed); });
        lock.lock();
        --searching_;
    }
    if (queue_.empty()) {
        drainer.next_free = std::exchange(free_drainers_, &drainer);
        --drainers_;
        let_threads_go();
        return nullptr;
    }
    return take_task(lock);
}

detail::StatePtr ThreadPool::take_task(std::unique_lock<std::mutex>& lock) noexcept {
    detail::StatePtr task = queue_.pop();
    Drainer* called = nullptr;
    if (queue_.empty()) {
        queue_filled_.store(false, std::memory_order_relaxed);
    } else if (searching_ == 0 && queue_.size() > arriving_) {
        called = call_for_help();
    }
    lock.unlock();
    wake(called);
    return task;
}

// --- Asio and the end ---------------------------------------------------------------------------

boost::asio::thread_pool::executor_type ThreadPool::executor() {
    if (!shared_with_asio_.load(std::memory_order_relaxed)) {
        const std::lock_guard lock(mutex_);
        try {
            while (!shut_down_ && workers_.size() < config_.max_threads) {
                start_thread();
            }
        } catch (...) {
            if (workers_.empty()) {
                throw;
            }
            // Those that there are will run the handlers.
        }
        shared_with_asio_.store(true, std::memory_order_relaxed);
    }
    return asio_.get_executor();
}

void ThreadPool::shutdown(bool wait, bool cancel_pending) {
    if (wait && runs_this_thread()) {
        throw DeadlockError(
            "shutdown(wait=true) was called inside a task of the same pool, which would wait for "
            "itself; call shutdown(false) there"
        );
    }
    TaskQueue cancelled;
    {
        const std::lock_guard lock(mutex_);
        shut_down_ = true;
        let_threads_go();
        if (cancel_pending) {
            queue_filled_.store(false, std::memory_order_relaxed);
            std::swap(cancelled, queue_);
        }
    }
    while (const detail::StatePtr task = cancelled.pop()) {
        task->cancel();
    }
    if (wait) {
        join_threads();
    }
}

// Under the mutex: gives back the work that keeps threads in Asio, when there will be no more
// calls. They leave when no handler is left either. It must not be while a drainer is called and
// not yet posted: Asio runs nothing that is posted after all threads were let go.
void ThreadPool::let_threads_go() noexcept {
    // Once only: Boost 1.81 would count it twice.
    if (shut_down_ && drainers_ == 0 && !std::exchange(threads_let_go_, true)) {
        asio_.wait();
    }
}

void ThreadPool::join_threads() {
    const std::lock_guard joining(join_mutex_);
    // Drainers may start threads for what is still queued, but not after the last thread has ended.
    for (std::size_t joined = 0;; ++joined) {
        Worker* worker = nullptr;
        {
            const std::lock_guard lock(mutex_);
            if (joined == workers_.size()) {
                return;
            }
            worker = &workers_[joined];
        }
        if (worker->thread.joinable()) {
            worker->thread.join();
        }
    }
}

}  // namespace cofutures::thread
