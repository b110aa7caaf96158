#include <cofutures/detail/map_start.hpp>

#include <cofutures/executor.hpp>
#include <cofutures/map.hpp>

#include "core/cpu.hpp"

#include <algorithm>
#include <stdexcept>

namespace cofutures {

namespace {

// Chunks for a process pool: several for each worker, so that long items spread; not so large that
// the first results are long in coming.
constexpr std::size_t chunks_per_worker = 8;
constexpr std::size_t largest_chunk = 256;

std::size_t checked(const std::optional<int>& option, std::size_t if_absent, const char* message) {
    if (!option) {
        return if_absent;
    }
    if (*option < 1) {
        throw std::invalid_argument(message);
    }
    return static_cast<std::size_t>(*option);
}

std::size_t default_chunk(std::optional<std::size_t> size, std::size_t limit, std::size_t workers) {
    const std::size_t share = size.value_or(1) / (chunks_per_worker * workers);
    return std::clamp<std::size_t>(
        share, 1, std::clamp<std::size_t>(limit / (2 * workers), 1, largest_chunk)
    );
}

}  // namespace

detail::MapPlan detail::make_map_plan(
    const MapOptions& options, std::optional<std::size_t> size, const TaskSink& sink
) {
    MapPlan plan;
    plan.batch = checked(options.chunksize, 0, "chunksize must be >= 1.");
    plan.limit = checked(options.buffersize, MapPlan::unlimited, "buffersize must be None or > 0");
    if (options.timeout) {
        plan.deadline = deadline_after(*options.timeout);
    }
    if (plan.batch == 0 && sink.is_remote()) {
        plan.batch = default_chunk(size, plan.limit, std::max<std::size_t>(sink.worker_count(), 1));
    }
    return plan;
}

std::shared_ptr<detail::TaskSink> Executor::task_sink() {
    class Sink final : public detail::TaskSink {
    public:
        explicit Sink(Executor& executor) noexcept : executor_(executor) {}

        void submit(detail::StatePtr task) override { executor_.enqueue(std::move(task)); }
        [[nodiscard]] std::size_t worker_count() const noexcept override {
            return detail::usable_cpus();
        }
        [[nodiscard]] bool runs_this_thread() const noexcept override { return false; }

    private:
        Executor& executor_;
    };
    return std::make_shared<Sink>(*this);
}

}  // namespace cofutures
