#pragma once

#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/state_base.hpp>

#include "core/task_place.hpp"
#include "thread/drainer.hpp"
#include "thread/task_queue.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace cofutures::thread {

/// What ThreadPoolExecutor is made of: own threads attached to an `asio::thread_pool`, and a queue
/// of tasks that is drained by handlers posted to it.
///
/// Asio knows nothing of single tasks. It runs *drainers*: handlers that run task after task until
/// the queue is empty. There is at most one for each thread, so that a backlog of any length costs
/// Asio nothing. A drainer that finds the queue empty looks on for some microseconds before it
/// returns, one of them at a time; while it looks nobody needs to be woken.
///
/// Why no wake-up is lost: pushing a task and deciding whether somebody must be woken for it is one
/// critical section of `mutex_`, and so is finding the queue empty and ceasing to be a drainer. A
/// searching drainer looks at the queue once more, under the mutex, before it ceases. Whoever takes
/// a task while more are queued than drainers are on their way calls for help, if nobody searches.
///
/// Thread-safe. Kept by the executor and by each of its threads.
class ThreadPool final : public detail::TaskPool,
                         public detail::TaskSink,
                         public std::enable_shared_from_this<ThreadPool> {
public:
    struct Config {
        std::size_t max_threads;
        std::string name_prefix;
        std::function<void()> initializer;
    };

    explicit ThreadPool(Config config);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() override;

    /// Queues a pending task. Throws ShutdownError, BrokenThreadPool, std::system_error.
    void submit(detail::StatePtr task) override;

    /// As Executor::shutdown().
    void shutdown(bool wait, bool cancel_pending);

    /// The pool's Asio executor; starts all threads.
    boost::asio::thread_pool::executor_type executor();

    /// Whether the calling thread is one of this pool's.
    [[nodiscard]] bool runs_this_thread() const noexcept override {
        const detail::WorkerContext* worker = detail::WorkerContext::current();
        return worker != nullptr && &worker->pool() == this;
    }

    [[nodiscard]] std::size_t most_workers() const noexcept override { return config_.max_threads; }
    void prepare_substitute() override;
    [[nodiscard]] std::size_t worker_count() const noexcept override { return config_.max_threads; }
    [[nodiscard]] bool has_other_work() const noexcept override {
        return shared_with_asio_.load(std::memory_order_relaxed);
    }

private:
    struct Worker {
        template <class Run>
        explicit Worker(Run run) : thread(std::move(run)) {}

        std::thread thread;
        Drainer drainer;
    };
    struct Drain;  // the handler that is posted

    void check_open() const;
    void start_thread();
    Drainer* call_for_help();
    void wake(Drainer* drainer) noexcept;
    void run_thread(std::size_t index) noexcept;
    void fail_initializer(std::exception_ptr cause) noexcept;
    void let_threads_go() noexcept;
    void join_threads();

    void drain(Drainer& drainer) noexcept;
    detail::StatePtr next_task(Drainer& drainer) noexcept;
    detail::StatePtr take_task(std::unique_lock<std::mutex>& lock) noexcept;

    const Config config_;
    // Guarded by mutex_. Declared before asio_, which destroys the handlers that lie in the
    // drainers.
    std::deque<Worker> workers_;
    boost::asio::thread_pool asio_{0};  // 1 would make a scheduler for one thread only

    mutable std::mutex mutex_;  // guards the block that follows, and workers_
    TaskQueue queue_;
    Drainer* free_drainers_ = nullptr;
    std::size_t drainers_ = 0;   // called, posted or running; a queued task implies one
    std::size_t arriving_ = 0;   // those of them that will yet look at the queue for the first time
    std::size_t searching_ = 0;  // drainers that look for work, at most one
    bool shut_down_ = false;
    bool threads_let_go_ = false;
    std::exception_ptr initializer_error_;  // what broke the pool

    std::mutex join_mutex_;  // held while threads are joined; taken before mutex_

    // What a searching drainer looks at; on a line of its own, away from what producers write.
    alignas(64) std::atomic<bool> queue_filled_{false};
    std::atomic<bool> shared_with_asio_{false};  // handlers of others want their turn
};

}  // namespace cofutures::thread
