#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/asymmetric_fence.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_job.hpp>
#include <cofutures/detail/map_slot.hpp>

#include <algorithm>
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
/// after the store and then looks which item is awaited. One of them sees the other. So it is when
/// the consumer says that it wants no more: who ends an item later destroys its outcome.
class COFUTURES_EXPORT NumberedMapJob : public MapJob {
public:
    /// The consumer waits until an item has ended; false if the deadline came first.
    bool wait_for(std::size_t item, const Deadline& deadline) {
        return has_ended(phase(item).load(std::memory_order_acquire)) || wait(item, deadline);
    }

    /// Of all items, from the first one on.
    [[nodiscard]] const std::atomic<MapPhase>* phases() const noexcept { return phases_.get(); }

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

    /// Ends items whose outcomes are stored: from now on they are the consumer's.
    ///
    /// @returns From which one on that does not want them: the caller disowns those.
    [[nodiscard]] std::size_t end(std::size_t first, std::size_t past, MapPhase outcome) noexcept {
        std::atomic<MapPhase>* const phases = phases_.get();
        for (std::size_t item = first; item != past; ++item) {
            phases[item].store(outcome, std::memory_order_release);
        }
        fence_.light();
        const std::size_t awaited = awaited_.load(std::memory_order_acquire);
        if (first <= awaited && awaited < past) {
            wake();
        }
        return awaited == no_more ? std::min(std::max(first_unwanted_, first), past) : past;
    }

    /// The consumer, which has taken the items before, wants none from this one on. It disowns
    /// those that have ended.
    void want_none_from(std::size_t item) noexcept {
        first_unwanted_ = item;
        awaited_.store(no_more, std::memory_order_release);
        fence_.heavy();
    }
    /// Takes the outcome that the caller is to destroy, if there is one and nobody has taken it.
    [[nodiscard]] MapPhase disown(std::size_t item) noexcept {
        return has_ended(phase(item).load(std::memory_order_relaxed))
                   ? phase(item).exchange(MapPhase::free, std::memory_order_acq_rel)
                   : MapPhase::free;
    }

    [[nodiscard]] bool has_outcome() const noexcept final {
        return has_ended(phase(wanted_).load(std::memory_order_acquire));
    }

private:
    static constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t no_more = nobody - 1;

    bool wait(std::size_t item, const Deadline& deadline);

    const AsymmetricFence fence_;
    const std::unique_ptr<std::atomic<MapPhase>[]> phases_;
    std::size_t wanted_ = 0;
    std::size_t first_unwanted_ = 0;            // to be looked at if no more are wanted
    std::atomic<std::size_t> awaited_{nobody};  // what the consumer sleeps for
};

}  // namespace cofutures::detail
