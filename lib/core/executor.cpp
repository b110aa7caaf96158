#include <cofutures/executor.hpp>

#include <stdexcept>
#include <utility>

namespace cofutures {

namespace detail {

ExecutorBase::~ExecutorBase() = default;

bool ExecutorBase::try_enqueue(StatePtr task) {
    enqueue(std::move(task));
    return true;
}

Future<void> ExecutorBase::enqueue_when_room(StatePtr task) {
    enqueue(std::move(task));
    Promise<void> taken;
    auto future = taken.get_future();
    taken.set_result();
    return future;
}

boost::asio::any_io_executor ExecutorBase::make_strand() {
    throw SerializationError(
        "a coroutine cannot be sent to another process: give it to an executor of this one"
    );
}

void check(const TaskOptions& options) {
    if (options.timeout && *options.timeout <= std::chrono::nanoseconds::zero()) {
        throw std::invalid_argument("timeout must be greater than 0");
    }
    if (options.retries < 0) {
        throw std::invalid_argument("retries must be >= 0");
    }
}

}  // namespace detail

Executor::~Executor() = default;

}  // namespace cofutures
