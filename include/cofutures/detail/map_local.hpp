#pragma once

#include <cofutures/detail/map_drainers.hpp>
#include <cofutures/detail/map_linked_job.hpp>
#include <cofutures/detail/map_slot.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

namespace cofutures::detail {

/// A map whose items run in this process, of any number, in any order: a buffer's places are used
/// again.
template <class Value, class... Args>
class LocalMapJob : public LinkedMapJob, public MapDrainers {
public:
    using Slot = TypedMapSlot<Value, std::tuple<Args...>>;

    LocalMapJob(std::shared_ptr<TaskSink> sink, bool ordered, const Config& config)
        : LinkedMapJob(std::move(sink), ordered), MapDrainers(this->sink(), config) {}

    MapStorage<Slot>& storage() noexcept { return storage_; }

    [[nodiscard]] Dependencies needs() final {
        return drainers_of(ordered() ? std::optional(delivered()) : std::nullopt);
    }

protected:
    /// Runs items by this call.
    template <class Call>
    void run_with(Call& call, const MapItems& items) noexcept {
        items.linked.for_each([this, &call](MapSlot& slot) {
            if (halted()) {
                discard(slot);
            } else {
                finish(slot, outcome_of(call, static_cast<Slot&>(slot)));
            }
        });
    }

    std::size_t schedule(const MapRun& items, std::exception_ptr& error) final {
        return add(items.count, items, error);
    }
    bool help() noexcept final { return run_one(); }
    void destroy_outcome(MapSlot& slot, MapPhase outcome) noexcept final {
        static_cast<Slot&>(slot).destroy_outcome(outcome);
    }

    std::shared_ptr<MapDrainers> shared() final {
        return std::static_pointer_cast<LocalMapJob>(shared_from_this());
    }

    void discard(const MapItems& items) noexcept final {
        items.linked.for_each([this](MapSlot& slot) { discard(slot); });
    }
    void refuse(const MapItems& items) noexcept final {
        items.linked.for_each([](MapSlot& slot) {
            static_cast<Slot&>(slot).destroy_arguments();
            slot.phase.store(MapPhase::free, std::memory_order_relaxed);
        });
    }

private:
    template <class Call>
    static MapPhase outcome_of(Call& call, Slot& slot) noexcept {
        try {
            call(slot);
            return MapPhase::returned;
        } catch (...) {
            return slot.store_error(std::current_exception());
        }
    }

    void discard(MapSlot& item) noexcept {
        auto& slot = static_cast<Slot&>(item);
        slot.destroy_arguments();
        finish(slot, halt_error() ? slot.store_error(halt_error()) : MapPhase::cancelled);
    }

    MapStorage<Slot> storage_;
};

}  // namespace cofutures::detail
