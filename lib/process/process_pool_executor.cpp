#include <cofutures/process_pool_executor.hpp>

#include "core/cpu.hpp"
#include "core/max_workers.hpp"
#include "process/process_pool.hpp"
#include "process/worker.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace cofutures {

namespace {

template <class Number>
std::size_t checked_count(const std::optional<Number>& wanted, const char* message) {
    if (!wanted) {
        return process::PoolFsmConfig::unlimited;
    }
    if (*wanted < 1) {
        throw std::invalid_argument(message);
    }
    return static_cast<std::size_t>(*wanted);
}

std::size_t checked_window(const std::optional<int>& prefetch) {
    constexpr std::size_t most = 64;
    if (!prefetch) {
        return most;
    }
    if (*prefetch < 0) {
        throw std::invalid_argument("prefetch must be >= 0");
    }
    return std::min(most, 1 + static_cast<std::size_t>(*prefetch));
}

process::PoolFsmConfig decisions(const ProcessPoolOptions& options) {
    constexpr std::chrono::nanoseconds none{};
    if (options.start_timeout && *options.start_timeout <= none) {
        throw std::invalid_argument("start_timeout must be greater than 0");
    }
    if (options.idle_timeout && *options.idle_timeout <= none) {
        throw std::invalid_argument("idle_timeout must be greater than 0");
    }
    if (options.termination_grace < none) {
        throw std::invalid_argument("termination_grace must be >= 0");
    }
    process::PoolFsmConfig config;
    config.max_workers = detail::checked_max_workers(options.max_workers, detail::usable_cpus());
    config.window = checked_window(options.prefetch);
    config.max_queue = checked_count(options.max_queue, "max_queue must be >= 1");
    config.max_tasks_per_worker =
        checked_count(options.max_tasks_per_child, "max_tasks_per_child must be >= 1");
    config.replace_workers = options.on_worker_death == WorkerDeath::replace;
    config.start_timeout = options.start_timeout.value_or(none);
    config.idle_timeout = options.idle_timeout.value_or(none);
    config.termination_grace = options.termination_grace;
    return config;
}

process::ProcessPool::Config checked(ProcessPoolOptions&& options) {
    if (process::is_unserved_worker()) {
        throw Error("a ProcessPoolExecutor was made in one of its own worker processes: call "
                    "cofutures::freeze_support(argc, argv) first in main");
    }
    process::ProcessPool::Config config;
    config.decisions = decisions(options);
    config.command = process::make_worker_command(options);
    config.on_worker_output = std::move(options.on_worker_output);
    config.on_full = options.on_full;
    config.max_memory_growth = options.max_memory_growth;
    config.observer = std::move(options.observer);
    return config;
}

process::ProcessPool::Config checked(
    ProcessPoolOptions&& options,
    boost::asio::any_io_executor&& executor,
    std::function<bool()>&& is_inside
) {
    process::ProcessPool::Config config = checked(std::move(options));
    config.executor = std::move(executor);
    config.runs_executor = std::move(is_inside);
    return config;
}

}  // namespace

ProcessPoolExecutor::ProcessPoolExecutor() : ProcessPoolExecutor(ProcessPoolOptions{}) {}

ProcessPoolExecutor::ProcessPoolExecutor(int max_workers)
    : ProcessPoolExecutor(ProcessPoolOptions{.max_workers = max_workers}) {}

ProcessPoolExecutor::ProcessPoolExecutor(ProcessPoolOptions options)
    : pool_(std::make_shared<process::ProcessPool>(checked(std::move(options)))) {}

ProcessPoolExecutor::ProcessPoolExecutor(
    boost::asio::any_io_executor executor,
    std::function<bool()> is_inside,
    ProcessPoolOptions options
)
    : pool_(std::make_shared<process::ProcessPool>(
          checked(std::move(options), std::move(executor), std::move(is_inside))
      )) {}

ProcessPoolExecutor::~ProcessPoolExecutor() {
    if (!pool_->is_at_home()) {
        // A forked child: the workers are the parent's, and so is what the manager was about to do.
        static_cast<void>(new std::shared_ptr<process::ProcessPool>(std::move(pool_)));
        return;
    }
    if (pool_->has_own_thread() && !pool_->runs_this_thread()) {
        pool_->shutdown_for_good();
    } else {
        pool_->shutdown(false, false);  // inside a callback: the manager ends by itself
    }
}

// These end futures, and a callback may destroy this object.

void ProcessPoolExecutor::shutdown(bool wait, bool cancel_futures) {
    const auto pool = pool_;
    pool->shutdown(wait, cancel_futures);
}

void ProcessPoolExecutor::terminate_workers() {
    const auto pool = pool_;
    pool->terminate(false);
}

void ProcessPoolExecutor::kill_workers() {
    const auto pool = pool_;
    pool->terminate(true);
}

std::vector<pid_t> ProcessPoolExecutor::worker_pids() const {
    return pool_->worker_pids();
}

std::shared_ptr<detail::TaskSink> ProcessPoolExecutor::task_sink() {
    return pool_;
}

void ProcessPoolExecutor::enqueue(detail::StatePtr task) {
    pool_->submit(std::move(task));
}

bool ProcessPoolExecutor::try_enqueue(detail::StatePtr task) {
    return pool_->try_submit(std::move(task));
}

Future<void> ProcessPoolExecutor::enqueue_when_room(detail::StatePtr task) {
    return pool_->submit_when_room(std::move(task));
}

ExecutorStats ProcessPoolExecutor::stats() const {
    return pool_->stats();
}

Future<void> ProcessPoolExecutor::begin_shutdown(bool cancel_futures) {
    const auto pool = pool_;
    return pool->begin_shutdown(cancel_futures);
}

bool ProcessPoolExecutor::shutdown_until(const detail::Deadline& deadline, bool cancel_futures) {
    const auto pool = pool_;
    return pool->shutdown_until(deadline, cancel_futures);
}

}  // namespace cofutures
