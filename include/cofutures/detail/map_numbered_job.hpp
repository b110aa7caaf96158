#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/asymmetric_fence.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_job.hpp>
#include <cofutures/detail/map_slot.hpp>

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

namespace cofutures::detail {

/// A map of so many items, by their numbers, in input order.
///
/// An item is ended by a store of its phase. The consumer says which item it sleeps for, passes the
/// heavy side of a fence, and looks at the phase once more; who ends an item passes the light side
/// after the store and then looks which item is awaited. One of them sees the other.
class COFUTURES_EXPORT NumberedMapJob : public MapJob {
public:
    /// The consumer waits until an item has ended; false if the deadline came first.
    bool wait_for(std::size_t item, const Deadline& deadline) {
        return has_ended(phase(item).load(std::memory_order_acquire)) || wait(item, deadline);
    }

protected:
    /// @throws std::bad_alloc
    NumberedMapJob(std::shared_ptr<TaskSink> sink, std::size_t size)
        : MapJob(std::move(sink)),
          phases_(std::make_unique<std::atomic<MapPhase>[]>(size)) {}  // all pending
    ~NumberedMapJob() override;

    [[nodiscard]] std::atomic<MapPhase>& phase(std::size_t item) const noexcept {
        return phases_[item];
    }

    /// The item that the consumer has waited for last; changes only while it is awake.
    [[nodiscard]] std::size_t wanted() const noexcept { return wanted_; }

    /// Ends an item whose outcome is stored: from now on it is the consumer's.
    void end(std::size_t item, MapPhase outcome) noexcept {
        phase(item).store(outcome, std::memory_order_release);
        fence_.light();
        if (awaited_.load(std::memory_order_relaxed) == item) {
            wake();
        }
    }

    [[nodiscard]] bool has_outcome() const noexcept final {
        return has_ended(phase(wanted_).load(std::memory_order_acquire));
    }

private:
    static constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();

    bool wait(std::size_t item, const Deadline& deadline);

    const AsymmetricFence fence_;
    const std::unique_ptr<std::atomic<MapPhase>[]> phases_;
    std::size_t wanted_ = 0;
    std::atomic<std::size_t> awaited_{nobody};  // the item that the consumer sleeps for
};

}  // namespace cofutures::detail
