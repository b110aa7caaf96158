#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/map_job.hpp>
#include <cofutures/detail/task.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// A map whose items run in this process.
///
/// There is no task for each item. *Drainers*, ordinary tasks of the executor, claim items in
/// grains until none is left. Finding none and ceasing to be a drainer is one critical section of
/// `mutex_`, and so is adding items and finding out whether a drainer is needed.
///
/// As long as there are unclaimed items one more drainer than there are threads stands in the
/// executor's queue, unless that takes no more: it is there to be cancelled, or failed, with what
/// has not begun.
class COFUTURES_EXPORT LocalMapJob : public MapJob {
public:
    struct Config {
        bool ordered;
        /// Submit a drainer with each offer, so that an executor that is shut down refuses it.
        bool lazy;
        /// Items to claim at a time; 0 to find out.
        std::size_t grain;
    };

    void stop() noexcept override { halt(nullptr); }
    [[nodiscard]] Dependencies needs() final;

protected:
    LocalMapJob(std::shared_ptr<TaskSink> sink, const Config& config);
    ~LocalMapJob() override;

    std::size_t schedule(const MapRun& items, std::exception_ptr& error) final;
    bool help() noexcept final;

    /// Runs an item and ends it.
    virtual void run(MapSlot& slot) noexcept = 0;
    /// Destroys the arguments of an item that will not be run.
    virtual void destroy_arguments(MapSlot& slot) noexcept = 0;
    /// Ends an item that will not be run, with an exception.
    virtual void fail(MapSlot& slot, const std::exception_ptr& error) noexcept = 0;

private:
    class Drainer;

    void start_drainer();
    bool try_start_drainer() noexcept;
    void drain(Drainer& self) noexcept;
    void forget(const Drainer& drainer) noexcept;
    void drainer_was_lost(const Drainer& drainer, std::exception_ptr error) noexcept;
    void halt(std::exception_ptr error) noexcept;

    std::size_t append(const MapRun& items);
    MapRun claim(Drainer& self, std::size_t wanted) noexcept;
    bool begin_draining() noexcept;
    void run_all(const MapRun& items) noexcept;
    void discard(MapSlot& slot) noexcept;

    const std::size_t workers_;
    const Config config_;

    std::mutex mutex_;  // guards the block that follows, and the links of unclaimed items
    MapRun unclaimed_;
    std::size_t drainers_ = 0;  // submitted or running; an unclaimed item implies one
    std::size_t queued_ = 0;    // those that have not begun
    std::size_t claimed_ = 0;   // items so far
    std::vector<boost::intrusive_ptr<Drainer>> started_;  // those of the drainers that exist
    std::exception_ptr halt_error_;  // written before halted_; null: items are cancelled

    std::atomic<bool> halted_{false};  // what has not begun will not
};

/// The same with its types: what a call is made of, and where outcomes are kept.
template <class Value, class Fn, class... Args>
class CallMapJob final : public LocalMapJob {
public:
    using Arguments = std::tuple<Args...>;
    using Slot = TypedMapSlot<Value, Arguments>;

    template <class F>
    CallMapJob(std::shared_ptr<TaskSink> sink, const Config& config, F&& fn)
        : LocalMapJob(std::move(sink), config), fn_(std::forward<F>(fn)) {}

    MapStorage<Slot>& storage() noexcept { return storage_; }

    void stop() noexcept override {
        if constexpr (with_token) {
            stop_.request_stop();
        }
        LocalMapJob::stop();
    }

protected:
    void run(MapSlot& item) noexcept override {
        auto& slot = static_cast<Slot&>(item);
        MapPhase outcome = MapPhase::returned;
        try {
            auto arguments = slot.take_arguments();
            slot.store_result_of([&]() -> Value { return call(arguments); });
        } catch (...) {
            outcome = slot.store_error(std::current_exception());
        }
        finish(slot, outcome);
    }

    void destroy_arguments(MapSlot& slot) noexcept override {
        static_cast<Slot&>(slot).destroy_arguments();
    }

    void fail(MapSlot& slot, const std::exception_ptr& error) noexcept override {
        destroy_arguments(slot);
        finish(slot, static_cast<Slot&>(slot).store_error(error));
    }

    void destroy_outcome(MapSlot& slot, MapPhase outcome) noexcept override {
        static_cast<Slot&>(slot).destroy_outcome(outcome);
    }

private:
    static constexpr bool with_token = takes_stop_token<const Fn&, Args...>;
    struct NoToken {};

    Value call(Arguments& arguments) {
        return std::apply(
            [this](Args&... args) -> Value {
                const auto invoke = [&]() -> decltype(auto) {
                    if constexpr (with_token) {
                        return std::invoke(fn_, stop_.get_token(), std::move(args)...);
                    } else {
                        return std::invoke(fn_, std::move(args)...);
                    }
                };
                if constexpr (std::is_void_v<decltype(invoke())>) {
                    invoke();
                    return {};
                } else {
                    return Value(invoke());
                }
            },
            arguments
        );
    }

    const Fn fn_;
    MapStorage<Slot> storage_;
    [[no_unique_address]] std::conditional_t<with_token, std::stop_source, NoToken> stop_;
};

}  // namespace cofutures::detail
