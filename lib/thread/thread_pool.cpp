#include "thread/thread_pool.hpp"

#include <cofutures/error.hpp>

#include "core/spin.hpp"
#include "core/thread_name.hpp"

#include <boost/asio/post.hpp>
#include <boost/assert.hpp>

#include <chrono>
#include <cstdio>
#include <system_error>
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

constinit thread_local const ThreadPool* ThreadPool::current_ = nullptr;

ThreadPool::ThreadPool(Config config) : config_(std::move(config)) {}

ThreadPool::~ThreadPool() {
    BOOST_ASSERT_MSG(queue_.empty(), "the executor shuts down before it lets go of the pool");
    // Threads are left only if the executor was destroyed inside one of its own tasks. The last of
    // them to end is the one that gets here; it cannot join itself, and has nothing left to do.
    for (std::thread& thread : threads_) {
        if (thread.get_id() == std::this_thread::get_id()) {
            thread.detach();
        } else if (thread.joinable()) {
            thread.join();
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
    Wake wake = Wake::nobody;
    {
        const std::lock_guard lock(mutex_);
        check_open();
        if (searching_ == 0) {
            wake = call_for_help();
        }
        queue_.push(std::move(task));
        queue_filled_.store(true, std::memory_order_relaxed);
    }
    act(wake);
}

// Under the mutex: gets one more drainer, on an idle thread or a new one, if there can be one.
ThreadPool::Wake ThreadPool::call_for_help() {
    if (drainers_ == threads_started_) {
        if (threads_started_ == config_.max_threads) {
            return Wake::nobody;
        }
        try {
            start_thread();
        } catch (const std::system_error&) {
            if (threads_started_ == 0) {
                throw;
            }
            return Wake::nobody;  // those that there are will do the work
        }
    }
    ++drainers_;
    return Wake::drainer;
}

// Under the mutex, so that nobody shuts down in between.
void ThreadPool::start_thread() {
    threads_.reserve(config_.max_threads);
    threads_.emplace_back([self = shared_from_this(), index = threads_started_]() mutable {
        self->run_thread(index);
    });
    ++threads_started_;
}

void ThreadPool::act(Wake wake) {
    if (wake == Wake::drainer) {
        boost::asio::post(asio_, [this] { drain(); });
    }
}

// --- threads ------------------------------------------------------------------------------------

void ThreadPool::run_thread(std::size_t index) noexcept {
    current_ = this;
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

void ThreadPool::drain() noexcept {
    const bool limited = shared_with_asio_.load(std::memory_order_relaxed);
    const auto end_of_turn = limited ? Clock::now() + turn_length : Clock::time_point::max();
    while (const detail::StatePtr task = next_task()) {
        task->run();
        if (limited && Clock::now() >= end_of_turn) {
            act(Wake::drainer);  // go on behind those that wait for their turn
            return;
        }
    }
}

// The next task to run; null if there is none, and the caller is then no drainer any more.
detail::StatePtr ThreadPool::next_task() noexcept {
    std::unique_lock lock(mutex_);
    if (queue_.empty() && searching_ == 0) {
        ++searching_;
        lock.unlock();
        detail::spin_until([this] { return queue_filled_.load(std::memory_order_relaxed); });
        lock.lock();
        --searching_;
    }
    if (queue_.empty()) {
        --drainers_;
        return nullptr;
    }
    return take_task(lock);
}

detail::StatePtr ThreadPool::take_task(std::unique_lock<std::mutex>& lock) noexcept {
    detail::StatePtr task = queue_.pop();
    Wake wake = Wake::nobody;
    if (queue_.empty()) {
        queue_filled_.store(false, std::memory_order_relaxed);
    } else if (searching_ == 0) {
        wake = call_for_help();
    }
    lock.unlock();
    act(wake);
    return task;
}

// --- Asio and the end ---------------------------------------------------------------------------

boost::asio::thread_pool::executor_type ThreadPool::executor() {
    if (!shared_with_asio_.exchange(true)) {
        const std::lock_guard lock(mutex_);
        while (!shut_down_ && threads_started_ < config_.max_threads) {
            start_thread();
        }
    }
    return asio_.get_executor();
}

void ThreadPool::shutdown(bool wait, bool cancel_pending) {
    if (wait && runs_this_thread()) {
        throw DeadlockError(
            "shutdown(wait=true) was called inside a task of the same pool, which would wait for itself; "
            "call shutdown(false) there"
        );
    }
    TaskQueue cancelled;
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = !std::exchange(shut_down_, true);
        if (cancel_pending) {
            queue_filled_.store(false, std::memory_order_relaxed);
            std::swap(cancelled, queue_);
        }
    }
    while (const detail::StatePtr task = cancelled.pop()) {
        task->cancel();
    }
    if (first) {
        // Gives back the work that keeps the threads in Asio. They leave when no handler is left, and
        // drainers are handlers. Once only: Boost 1.81 would count it twice.
        asio_.wait();
    }
    if (wait) {
        const std::lock_guard lock(join_mutex_);
        for (std::thread& thread : threads_) {
            if (thread.joinable()) {
                thread.join();
            }
        }
    }
}

}  // namespace cofutures::thread
