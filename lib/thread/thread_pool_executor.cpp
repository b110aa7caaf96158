#include <cofutures/thread_pool_executor.hpp>

#include "core/cpu.hpp"
#include "thread/thread_pool.hpp"

#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <utility>

namespace cofutures {

namespace {

std::size_t checked_max_workers(const std::optional<int>& wanted) {
    if (!wanted) {
        return std::min(32U, detail::usable_cpus() + 4U);
    }
    if (*wanted <= 0) {
        throw std::invalid_argument("max_workers must be greater than 0");
    }
    return static_cast<std::size_t>(*wanted);
}

std::string default_prefix() {
    static constinit std::atomic<unsigned> pools{0};
    return "ThreadPoolExecutor-" + std::to_string(pools.fetch_add(1));
}

ThreadPoolOptions with_max_workers(int max_workers) {
    ThreadPoolOptions options;
    options.max_workers = max_workers;
    return options;
}

thread::ThreadPool::Config checked(ThreadPoolOptions&& options) {
    return {
        .max_threads = checked_max_workers(options.max_workers),
        .name_prefix = options.thread_name_prefix.empty() ? default_prefix()
                                                          : std::move(options.thread_name_prefix),
        .initializer = std::move(options.initializer),
    };
}

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor() : ThreadPoolExecutor(ThreadPoolOptions{}) {}

ThreadPoolExecutor::ThreadPoolExecutor(int max_workers)
    : ThreadPoolExecutor(with_max_workers(max_workers)) {}

ThreadPoolExecutor::ThreadPoolExecutor(ThreadPoolOptions options)
    : pool_(std::make_shared<thread::ThreadPool>(checked(std::move(options)))) {}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    // Inside one of its own tasks it cannot wait: the threads end by themselves then.
    pool_->shutdown(!pool_->runs_this_thread(), false);
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
    pool_->submit(std::move(task));
}

boost::asio::any_io_executor ThreadPoolExecutor::make_strand() {
    return boost::asio::make_strand(pool_->executor());
}

ExecutorStats ThreadPoolExecutor::stats() const {
    throw std::logic_error("pending");
}

Future<void> ThreadPoolExecutor::begin_shutdown(bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

bool ThreadPoolExecutor::
    shutdown_until(const detail::Deadline& /*deadline*/, bool /*cancel_futures*/) {
    throw std::logic_error("pending");
}

}  // namespace cofutures
