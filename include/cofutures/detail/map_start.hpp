#pragma once

#include <cofutures/error.hpp>
#include <cofutures/export.hpp>
#include <cofutures/detail/map_array_job.hpp>
#include <cofutures/detail/map_array_source.hpp>
#include <cofutures/detail/map_call.hpp>
#include <cofutures/detail/map_calling_job.hpp>
#include <cofutures/detail/map_driver.hpp>
#include <cofutures/detail/map_local.hpp>
#include <cofutures/detail/map_remote.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/remote_call.hpp>
#include <cofutures/detail/task.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>

namespace cofutures {

struct MapOptions;

namespace detail {

/// Whether mapping a callable gives values. Coroutines are submitted one by one.
template <class Fn, class... Values>
concept NoCoroutine =
    !Awaited<typename CallResult<const std::decay_t<Fn>&, Values...>::type>::is_coroutine;

/// Whether a callable can be mapped over items of such values: it is called as const, by several
/// threads at once, with rvalues.
template <class Fn, class... Values>
concept Mappable =
    (std::is_invocable_v<const std::decay_t<Fn>&, Values...> ||
     std::is_invocable_v<
         const std::decay_t<Fn>&,
         std::stop_token,
         Values...>)&&NoCoroutine<Fn, Values...>;

template <class R>
struct MapValueOf {
    using type = std::remove_cvref_t<R>;
};
template <class R>
requires std::is_void_v<R>
struct MapValueOf<R> {
    using type = std::monostate;
};
template <class R>
struct MapValueOf<R&> {
    using type = std::reference_wrapper<R>;
};

/// The T of the MapRange<T> that mapping gives.
template <class Fn, class... Ranges>
using MapValue = typename MapValueOf<
    typename CallResult<const std::decay_t<Fn>&, std::ranges::range_value_t<Ranges>...>::type>::
    type;

/// What the options, the number of items and the executor come to.
///
/// @throws std::invalid_argument  for bad options.
COFUTURES_EXPORT MapPlan
make_map_plan(const MapOptions& options, std::optional<std::size_t> size, const TaskSink& sink);

template <class Value, class Job, class... Ranges>
std::unique_ptr<MapSource<Value>> start_job(
    std::shared_ptr<Job> job, std::unique_ptr<MapInputs<Ranges...>> inputs, const MapPlan& plan
) {
    auto driver = std::make_unique<MapDriver<Value, Job, Ranges...>>(std::move(inputs), plan);
    driver->start(std::move(job));
    return driver;
}

template <class Fn, class Value, class... Ranges>
std::unique_ptr<MapSource<Value>> start_remote_map(
    std::shared_ptr<TaskSink> sink,
    const Fn& fn,
    std::unique_ptr<MapInputs<Ranges...>> inputs,
    const MapPlan& plan
) {
    using Call = RemoteCall<Fn, std::ranges::range_value_t<Ranges>...>;
    if constexpr (!Call::remotable) {
        throw SerializationError(Call::refusal());
    } else if constexpr (!std::is_same_v<
                             typename MapValueOf<typename Call::result_type>::type,
                             Value>) {
        throw SerializationError("a reference cannot be the result of a call in a worker process");
    } else {
        using Job = RemoteMapJob<Value, std::ranges::range_value_t<Ranges>...>;
        auto job = std::make_shared<Job>(
            std::move(sink),
            plan.ordered,
            remote_map_call<Value, std::ranges::range_value_t<Ranges>...>(fn)
        );
        return start_job<Value, Job>(std::move(job), std::move(inputs), plan);
    }
}

template <class Value, class Fn, class... Ranges>
std::unique_ptr<MapSource<Value>> start_local_map(
    std::shared_ptr<TaskSink> sink,
    Fn&& fn,
    std::unique_ptr<MapInputs<Ranges...>> inputs,
    MapPlan plan
) {
    using Call = MapCall<Value, std::decay_t<Fn>, std::ranges::range_value_t<Ranges>...>;
    const MapDrainers::Config config{
        .lazy = plan.limit != MapPlan::unlimited,
        .grain = plan.batch,
        .prompt = plan.deadline.has_value()};
    // Of an input that can be read once only the size is not known once reading has begun.
    if constexpr (((std::ranges::sized_range<Ranges> && std::ranges::forward_range<Ranges>)&&...)) {
        constexpr std::size_t largest_array = std::size_t{1} << 24;
        const std::optional<std::size_t> size = inputs->size();
        if (plan.ordered && plan.limit == MapPlan::unlimited && size && *size <= largest_array) {
            using Job = ArrayMapJob<Value, std::ranges::range_value_t<Ranges>...>;
            auto job = std::make_shared<CallingMapJob<Job, Call>>(
                std::forward<Fn>(fn), std::move(sink), *size, config
            );
            auto source = std::make_unique<ArrayMapSource<Value, Job>>(plan.deadline);
            source->start(std::move(job), *inputs, *size);
            return source;
        }
    }
    using Job = LocalMapJob<Value, std::ranges::range_value_t<Ranges>...>;
    auto job = std::make_shared<CallingMapJob<Job, Call>>(
        std::forward<Fn>(fn), std::move(sink), plan.ordered, config
    );
    plan.batch = 0;  // what a worker takes at a time does not bind those who add items
    return start_job<Value, Job>(std::move(job), std::move(inputs), plan);
}

/// Begins a map, and gives what its range reads from.
template <class Fn, class... Ranges>
auto start_map(
    std::shared_ptr<TaskSink> sink,
    const MapOptions& options,
    bool ordered,
    Fn&& fn,
    Ranges&&... ranges
) {
    using Value = MapValue<Fn, Ranges...>;
    auto inputs = std::make_unique<MapInputs<Ranges...>>(std::forward<Ranges>(ranges)...);
    MapPlan plan = make_map_plan(options, inputs->size(), *sink);
    plan.ordered = ordered;
    if (sink->is_remote()) {
        return start_remote_map<std::decay_t<Fn>, Value>(
            std::move(sink), fn, std::move(inputs), plan
        );
    }
    return start_local_map<Value>(std::move(sink), std::forward<Fn>(fn), std::move(inputs), plan);
}

}  // namespace detail
}  // namespace cofutures
