#pragma once

#include <cofutures/detail/state_base.hpp>

#include "thread/task_queue.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cofutures::thread {

/// What ThreadPoolExecutor is made of: own threads attached to an `asio::thread_pool`, and a queue of
/// tasks that is drained by handlers posted to it.
///
/// Asio knows nothing of single tasks. It runs *drainers*: handlers that run task after task until the
/// queue is empty. There is at most one for each thread, so that a backlog of any length costs Asio
/// nothing. A drainer that finds the queue empty looks on for some microseconds before it returns, one
/// of them at a time; while it looks nobody needs to be woken.
///
/// Why no wake-up is lost: pushing a task and deciding whether somebody must be woken for it is one
/// critical section of `mutex_`, and so is finding the queue empty and ceasing to be a drainer. A
/// searching drainer looks at the queue once more, under the mutex, before it ceases. Whoever takes a
/// task while more are queued calls for help if nobody searches.
///
/// Thread-safe. Kept by the executor and by each of its threads.
class ThreadPool : public std::enable_shared_from_this<ThreadPool> {
public:
    struct Config {
        std::size_t max_threads;
        std::string name_prefix;
        std::function<void()> initializer;
    };

    explicit ThreadPool(Config config);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool();

    /// Queues a pending task. Throws ShutdownError, BrokenThreadPool, std::system_error.
    void submit(detail::StatePtr task);

    /// As Executor::shutdown().
    void shutdown(bool wait, bool cancel_pending);

    /// The pool's Asio executor; starts all threads.
    boost::asio::thread_pool::executor_type executor();

    /// Whether the calling thread is one of this pool's.
    [[nodiscard]] bool runs_this_thread() const noexcept { return current_ == this; }

private:
    /// What has to happen once the mutex is free.
    enum class Wake { nobody, drainer };

    void check_open() const;
    Wake call_for_help();
    void start_thread();
    void act(Wake wake);
    void run_thread(std::size_t index) noexcept;
    void fail_initializer(std::exception_ptr cause) noexcept;

    void drain() noexcept;
    detail::StatePtr next_task() noexcept;
    detail::StatePtr take_task(std::unique_lock<std::mutex>& lock) noexcept;

    static thread_local constinit const ThreadPool* current_;

    const Config config_;
    boost::asio::thread_pool asio_{0};  // 1 would make a scheduler for one thread only

    mutable std::mutex mutex_;  // guards the block that follows
    TaskQueue queue_;
    std::size_t threads_started_ = 0;
    std::size_t drainers_ = 0;   // posted or running; a queued task implies one
    std::size_t searching_ = 0;  // drainers that look for work, at most one
    bool shut_down_ = false;
    std::exception_ptr initializer_error_;  // what broke the pool
    std::vector<std::thread> threads_;

    std::mutex join_mutex_;  // held while threads are joined; never taken under mutex_

    // What a searching drainer looks at; on a line of its own, away from what producers write.
    alignas(64) std::atomic<bool> queue_filled_{false};
    std::atomic<bool> shared_with_asio_{false};  // handlers of others want their turn
};

}  // namespace cofutures::thread
