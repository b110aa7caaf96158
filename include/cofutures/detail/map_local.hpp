#pragma once

#include <cofutures/detail/map_call.hpp>
#include <cofutures/detail/map_drainers.hpp>
#include <cofutures/detail/map_linked_job.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

namespace cofutures::detail {

/// A map whose items run in this process, of any number, in any order: a buffer's places are used
/// again.
template <class Value, class Fn, class... Args>
class LocalMapJob final : public LinkedMapJob, public MapDrainers {
public:
    using Slot = TypedMapSlot<Value, std::tuple<Args...>>;

    template <class F>
    LocalMapJob(std::shared_ptr<TaskSink> sink, bool ordered, const Config& config, F&& fn)
        : LinkedMapJob(std::move(sink), ordered),
          MapDrainers(this->sink(), config),
          call_(std::forward<F>(fn)) {}

    MapStorage<Slot>& storage() noexcept { return storage_; }

    void stop() noexcept override {
        call_.request_stop();
        halt(nullptr);
    }

    [[nodiscard]] Dependencies needs() override {
        return drainers_of(ordered() ? std::optional(delivered()) : std::nullopt);
    }

protected:
    std::size_t schedule(const MapRun& items, std::exception_ptr& error) override {
        return add(items.count, items, error);
    }
    bool help() noexcept override { return run_one(); }
    void destroy_outcome(MapSlot& slot, MapPhase outcome) noexcept override {
        static_cast<Slot&>(slot).destroy_outcome(outcome);
    }

    std::shared_ptr<MapDrainers> shared() override {
        return std::static_pointer_cast<LocalMapJob>(shared_from_this());
    }

    void run(const MapItems& items) noexcept override {
        items.linked.for_each([this](MapSlot& slot) {
            if (halted()) {
                discard(slot);
            } else {
                finish(slot, call_(static_cast<Slot&>(slot)));
            }
        });
    }
    void discard(const MapItems& items) noexcept override {
        items.linked.for_each([this](MapSlot& slot) { discard(slot); });
    }
    void refuse(const MapItems& items) noexcept override {
        items.linked.for_each([](MapSlot& slot) {
            static_cast<Slot&>(slot).destroy_arguments();
            slot.phase.store(MapPhase::free, std::memory_order_relaxed);
        });
    }

private:
    void discard(MapSlot& item) noexcept {
        auto& slot = static_cast<Slot&>(item);
        slot.destroy_arguments();
        finish(slot, halt_error() ? slot.store_error(halt_error()) : MapPhase::cancelled);
    }

    MapCall<Value, Fn, Args...> call_;
    MapStorage<Slot> storage_;
};

}  // namespace cofutures::detail
