#pragma once

#include <cofutures/executor_stats.hpp>
#include <cofutures/future.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/on_full.hpp>
#include <cofutures/detail/cache_line.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/state_base.hpp>

#include "core/fork_count.hpp"
#include "core/task_place.hpp"
#include "core/task_timer.hpp"
#include "thread/drainer.hpp"
#include "thread/local_queue.hpp"
#include "thread/task_queue.hpp"

#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace cofutures::thread {

/// What ThreadPoolExecutor is made of: threads of its own, a queue of tasks, and an
/// `asio::thread_pool` that the threads join when somebody wants its executor.
///
/// Threads that run tasks are *drainers*: they run task after task until the queue is empty. A
/// drainer that finds the queue empty looks on for some microseconds before it gives up, one of
/// them at a time; while it looks nobody needs to be woken. Idle threads sleep here; those that
/// joined Asio sleep there, and a drainer is then a handler that is posted, at most one for each
/// thread, so that a backlog of any length costs Asio nothing.
///
/// Why no wake-up is lost: pushing a task and deciding whether somebody must be woken for it is one
/// critical section of `mutex_`, and so is finding the queue empty and ceasing to be a drainer. A
/// searching drainer looks at the queue once more, under the mutex, before it ceases. Whoever takes
/// a task while more are queued than drainers are on their way calls for help, if nobody searches.
/// A thread that leaves looks at the queue in the critical section in which it is gone.
///
/// What a task submits while all drainers are at work goes to the `LocalQueue` of its worker,
/// without `mutex_`: there it costs no other thread anything, and is at hand if the task waits for
/// it. Everybody who comes to the queue brings there what lies in local ones first, so that the
/// order stays. Why that loses no wake-up stands with push_locally().
///
/// Thread-safe. Kept by the executor and by each of its threads.
class ThreadPool final : public detail::TaskPool,
                         public detail::TaskAccount,
                         public detail::TaskSink,
                         public std::enable_shared_from_this<ThreadPool> {
public:
    struct Config {
        std::size_t max_threads;
        std::string name_prefix;
        std::function<void()> initializer;
        std::function<void()> finalizer;
        std::optional<std::size_t> max_queue;
        OnFull on_full;
        std::optional<std::chrono::nanoseconds> idle_timeout;
        std::size_t max_extra_threads;
        std::shared_ptr<ExecutorObserver> observer;
    };

    explicit ThreadPool(Config config);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() override;

    // --- tasks ----------------------------------------------------------------------------------

    /// As ExecutorBase. All throw ShutdownError, BrokenThreadPool, std::system_error.
    void enqueue(detail::StatePtr task);
    bool try_enqueue(detail::StatePtr task);
    Future<void> enqueue_when_room(detail::StatePtr task);

    /// Takes a task of a map, also if there is no room: each map brings a few only.
    void submit(detail::StatePtr task) override;

    // --- the whole ------------------------------------------------------------------------------

    /// As Executor.
    void shutdown(bool wait, bool cancel_pending);
    Future<void> begin_shutdown(bool cancel_pending);
    bool shutdown_until(const detail::Deadline& deadline, bool cancel_pending);
    /// As shutdown(true) of a thread that must not go on before all has run: if it never could,
    /// waits of the pool's tasks are refused instead of this one. Not for the pool's own threads.
    void shutdown_for_good() noexcept;
    [[nodiscard]] ExecutorStats stats() const;

    /// The pool's Asio executor; starts all threads.
    boost::asio::thread_pool::executor_type executor();

    /// Whether this is the process that made the pool, and not a fork of it.
    [[nodiscard]] bool is_at_home() const noexcept override { return home_.is_here(); }

    /// Whether the calling thread is one of this pool's.
    [[nodiscard]] bool runs_this_thread() const noexcept override {
        const detail::WorkerContext* worker = detail::WorkerContext::current();
        return worker != nullptr && &worker->pool() == this;
    }

    [[nodiscard]] std::size_t worker_count() const noexcept override { return config_.max_threads; }
    [[nodiscard]] bool has_other_work() const noexcept override {
        return shared_with_asio_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] const detail::TaskAccount* account() const noexcept override { return this; }
    [[nodiscard]] std::string label() const override { return '"' + config_.name_prefix + '"'; }
    [[nodiscard]] std::size_t most_workers() const noexcept override {
        return threads_refused_.load(std::memory_order_relaxed)
                   ? live_.load(std::memory_order_relaxed)  // no other can be counted on
                   : config_.max_threads + config_.max_extra_threads;
    }
    [[nodiscard]] std::size_t most_handler_workers() const noexcept override {
        return std::min(most_workers_without_tasks(), config_.max_threads);
    }
    [[nodiscard]] std::size_t most_workers_without_tasks() const noexcept override {
        // A task that is yet to be pushed may bring one, which then runs handlers too.
        return closed_.load(std::memory_order_acquire) &&
                       announcing_.load(std::memory_order_acquire) == 0
                   ? live_.load(std::memory_order_relaxed)
                   : most_workers();
    }
    void begin_substitute() override;
    void end_substitute() noexcept override;
    detail::StatePtr take_back(detail::StateBase& task) noexcept override;
    void worker_waits() noexcept override;
    void worker_blocks() noexcept override;
    void worker_goes_on() noexcept override;

private:
    struct Worker {
        explicit Worker(std::size_t number) : index(number) {}

        const std::size_t index;
        std::thread thread;
        Drainer drainer;
        LocalQueue submitted;
        Worker* next_vacant = nullptr;
    };

    // A drainer that was called, and is to be told when the mutex is free; null for none.
    struct Call {
        Drainer* drainer = nullptr;
        bool in_asio = false;
    };

    // A task that waits for room in the queue, and who is told when it got some.
    struct RoomWaiter {
        detail::StatePtr task;
        Promise<void> taken;
        bool to_be_announced = false;
        std::exception_ptr error{};
    };
    using RoomWaiters = std::list<RoomWaiter>;

    struct Drain;  // the handler that is posted

    // Taking tasks.
    void check_process() const;
    void check_not_broken() const;
    void check_open() const;
    [[nodiscard]] detail::StateBase::Marks marks_for(const TaskOptions* options) const noexcept;
    void prepare(const TaskOptions* options);
    void take(std::unique_lock<std::mutex>& lock, detail::StatePtr task);
    void announce(std::unique_lock<std::mutex>& lock, const detail::StatePtr& task);
    Call push(detail::StatePtr task);

    // Local queues.
    bool push_locally(detail::StatePtr& task) noexcept;
    bool collect() noexcept;
    void collect_all() noexcept;
    void decide_where_tasks_submit() noexcept;

    // A bounded queue.
    [[nodiscard]] bool has_room() const noexcept;
    [[nodiscard]] bool has_room_for_another() const noexcept;
    [[nodiscard]] bool must_wait_for_room() noexcept;
    RoomWaiters admit() noexcept;
    void finish(RoomWaiters admitted) noexcept;

    // What tasks tell: TaskAccount.
    void begun(detail::StateBase& task) noexcept override;
    void ended(detail::StateBase& task, bool failed) noexcept override;
    std::shared_ptr<detail::TaskAccount> cancelled() noexcept override;
    void room_made() noexcept override;
    void lost(detail::StateBase& task) noexcept override;
    void ended_elsewhere(bool failed) noexcept override { count_ended_elsewhere(failed); }
    void report_if_cancelled(const detail::StateBase& task) noexcept;

    // Threads.
    void start_thread();
    Call call_for_help();
    Call call_for_more() noexcept;
    Call call(Drainer& drainer) noexcept;
    void wake(Call call) noexcept;
    void run_thread(Worker& self) noexcept;
    bool initialize(Worker& self) noexcept;
    void finalize() noexcept;
    void work(Worker& self) noexcept;
    [[nodiscard]] detail::Deadline stay_until(detail::Clock::time_point idle_since) const noexcept;
    void take_off_free_list(Drainer& drainer) noexcept;
    bool join_asio(Drainer& drainer) noexcept;
    void send_free_to_asio() noexcept;
    void fail_initializer(Worker& self, const std::exception_ptr& cause) noexcept;
    [[nodiscard]] bool is_wanted_again(Drainer& drainer) noexcept;
    bool leave(Worker& self) noexcept;

    // Draining.
    void drain(Drainer& drainer) noexcept;
    bool end_turn(Drainer& drainer) noexcept;
    detail::StatePtr next_task(Drainer& drainer) noexcept;
    void search(std::unique_lock<std::mutex>& lock) noexcept;
    bool ceases() noexcept;
    detail::StatePtr take_task(std::unique_lock<std::mutex>& lock) noexcept;

    // The end.
    void close(bool cancel_pending);
    void let_threads_go() noexcept;
    std::optional<Promise<void>> take_ended() noexcept;
    void join_threads() noexcept;

    // The calling thread's, if it is one of a pool's own.
    static thread_local constinit Worker* current_worker_;

    const Config config_;
    const detail::HomeProcess home_;
    const std::shared_ptr<detail::TaskTimer> timer_;
    Promise<void> ended_;  // kept when all has ended; guarded by mutex_, then moved from
    const Future<void> ended_future_{ended_.get_future()};
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
    std::size_t drainers_allowed_;  // more while workers block, if there may be extra threads
    std::size_t blocked_ = 0;       // workers that block; counted if there may be extra threads
    // Tasks taken, and about to be pushed; changed under the mutex.
    std::atomic<std::size_t> announcing_{0};
    // Threads, from being started until leave(); changed under the mutex.
    std::atomic<std::size_t> live_{0};
    std::size_t attached_ = 0;     // those of them that are in Asio, or on the way
    std::uint64_t submitted_ = 0;  // tasks taken, other than into local queues
    RoomWaiters room_waiters_;
    Worker* vacant_ = nullptr;  // entries of workers_ without a thread
    std::thread left_;          // the thread that left last; it has joined the one before it
    bool shut_down_ = false;
    bool threads_let_go_ = false;
    std::exception_ptr initializer_error_;  // what broke the pool
    bool has_ended_ = false;

    std::mutex join_mutex_;  // held while threads are joined; taken before mutex_

    // What became of tasks taken. Each that is counted takes up room no longer.
    std::atomic<std::uint64_t> begun_{0};  // with a bounded queue only
    std::atomic<std::uint64_t> cancelled_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<bool> threads_refused_{false};  // when another was wanted for the last time
    std::atomic<bool> closed_{false};           // shut down or broken; changed under the mutex
    std::atomic<bool> room_wanted_{false};      // true if room_waiters_ has any, or is about to

    // Whether what tasks submit goes to the queue: somebody may come for it at once, or none may be
    // taken any more. Changed under the mutex.
    std::atomic<bool> submit_to_all_{true};
    std::atomic<bool> local_tasks_{false};  // some local queue has tasks, or had

    // What a searching drainer looks at; on a line of its own, away from what producers write.
    alignas(detail::cache_line) std::atomic<bool> queue_filled_{false};
    std::atomic<bool> shared_with_asio_{false};  // handlers of others want their turn
};

}  // namespace cofutures::thread
