#include <cofutures/process_pool_executor.hpp>

#include "core/cpu.hpp"
#include "process/process_pool.hpp"
#include "process/worker.hpp"

#include <stdexcept>
#include <utility>

namespace cofutures {

namespace {

std::size_t checked_max_workers(const std::optional<int>& wanted) {
    if (!wanted) {
        return detail::usable_cpus();
    }
    if (*wanted <= 0) {
        throw std::invalid_argument("max_workers must be greater than 0");
    }
    return static_cast<std::size_t>(*wanted);
}

ProcessPoolOptions with_max_workers(int max_workers) {
    ProcessPoolOptions options;
    options.max_workers = max_workers;
    return options;
}

process::ProcessPool::Config checked(ProcessPoolOptions&& options) {
    if (process::is_unserved_worker()) {
        throw Error("a ProcessPoolExecutor was made in one of its own worker processes: call "
                    "cofutures::freeze_support(argc, argv) first in main");
    }
    process::ProcessPool::Config config;
    config.max_workers = checked_max_workers(options.max_workers);
    config.command = process::make_worker_command(options);
    config.on_worker_output = std::move(options.on_worker_output);
    return config;
}

}  // namespace

ProcessPoolExecutor::ProcessPoolExecutor() : ProcessPoolExecutor(ProcessPoolOptions{}) {}

ProcessPoolExecutor::ProcessPoolExecutor(int max_workers)
    : ProcessPoolExecutor(with_max_workers(max_workers)) {}

ProcessPoolExecutor::ProcessPoolExecutor(ProcessPoolOptions options)
    : pool_(std::make_shared<process::ProcessPool>(checked(std::move(options)))) {}

ProcessPoolExecutor::~ProcessPoolExecutor() {
    // Inside a callback it cannot wait: the manager ends by itself then.
    pool_->shutdown(!pool_->runs_this_thread(), false);
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

ExecutorStats ProcessPoolExecutor::stats() const {
    throw std::logic_error("pending");
}

Future<void> ProcessPoolExecutor::begin_shutdown(bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

bool ProcessPoolExecutor::
    shutdown_until(const detail::Deadline& /*deadline*/, bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

}  // namespace cofutures
