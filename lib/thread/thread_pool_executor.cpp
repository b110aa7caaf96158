#include <cofutures/thread_pool_executor.hpp>

#include "core/cpu.hpp"
#include "core/max_workers.hpp"
#include "thread/thread_pool.hpp"

#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace cofutures {

namespace {

std::string default_prefix() {
    static constinit std::atomic<unsigned> pools{0};
    return "ThreadPoolExecutor-" + std::to_string(pools.fetch_add(1));
}

std::size_t checked_extra_threads(int wanted) {
    if (wanted < 0) {
        throw std::invalid_argument("max_extra_threads must be >= 0");
    }
    return static_cast<std::size_t>(wanted);
}

thread::ThreadPool::Config checked(ThreadPoolOptions&& options) {
    if (options.max_queue == 0U) {
        throw std::invalid_argument("max_queue must be greater than 0");
    }
    if (options.idle_timeout && *options.idle_timeout <= std::chrono::nanoseconds::zero()) {
        throw std::invalid_argument("idle_timeout must be greater than 0");
    }
    return {
        .max_threads = detail::checked_max_workers(
            options.max_workers, std::min(32U, detail::usable_cpus() + 4U)
        ),
        .name_prefix = options.thread_name_prefix.empty() ? default_prefix()
                                                          : std::move(options.thread_name_prefix),
        .initializer = std::move(options.initializer),
        .finalizer = std::move(options.finalizer),
        .max_queue = options.max_queue,
        .on_full = options.on_full,
        .idle_timeout = options.idle_timeout,
        .max_extra_threads = checked_extra_threads(options.max_extra_threads),
        .observer = std::move(options.observer),
    };
}

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor() : ThreadPoolExecutor(ThreadPoolOptions{}) {}

ThreadPoolExecutor::ThreadPoolExecutor(int max_workers)
    : ThreadPoolExecutor(ThreadPoolOptions{.max_workers = max_workers}) {}

ThreadPoolExecutor::ThreadPoolExecutor(ThreadPoolOptions options)
    : pool_(std::make_shared<thread::ThreadPool>(checked(std::move(options)))) {}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    if (!pool_->is_at_home()) {
        // A forked child: what the threads and the locks of the parent were about to do is never
        // done here, so nothing of the pool can be taken down.
        static_cast<void>(new std::shared_ptr<thread::ThreadPool>(std::move(pool_)));
        return;
    }
    if (pool_->runs_this_thread()) {
        pool_->shutdown(false, false);  // the threads end by themselves
    } else {
        pool_->shutdown_for_good();
    }
}

void ThreadPoolExecutor::shutdown(bool wait, bool cancel_futures) {
    pool_->shutdown(wait, cancel_futures);
}

ThreadPoolExecutor::executor_type ThreadPoolExecutor::get_executor() {
    return pool_->executor();
}

std::shared_ptr<detail::TaskSink> ThreadPoolExecutor::task_sink() {
    return pool_;
}

void ThreadPoolExecutor::enqueue(detail::StatePtr task) {
    pool_->enqueue(std::move(task));
}

bool ThreadPoolExecutor::try_enqueue(detail::StatePtr task) {
    return pool_->try_enqueue(std::move(task));
}

Future<void> ThreadPoolExecutor::enqueue_when_room(detail::StatePtr task) {
    return pool_->enqueue_when_room(std::move(task));
}

boost::asio::any_io_executor ThreadPoolExecutor::make_strand() {
    return boost::asio::make_strand(pool_->executor());
}

ExecutorStats ThreadPoolExecutor::stats() const {
    return pool_->stats();
}

Future<void> ThreadPoolExecutor::begin_shutdown(bool cancel_futures) {
    return pool_->begin_shutdown(cancel_futures);
}

bool ThreadPoolExecutor::shutdown_until(const detail::Deadline& deadline, bool cancel_futures) {
    return pool_->shutdown_until(deadline, cancel_futures);
}

}  // namespace cofutures
