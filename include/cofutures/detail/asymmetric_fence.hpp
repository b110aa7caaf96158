#pragma once

#include <cofutures/export.hpp>

#include <atomic>

namespace cofutures::detail {

/// Orders a store before a later load on two sides, of which one passes far more often.
///
/// Both sides store, pass their fence, and load what the other one stores: at least one sees the
/// other. The light side pays nothing where the system can have all processors that run this
/// process pass a fence for the heavy one (membarrier); else both pass a real one.
///
/// Thread-safe. Both sides must use the same object.
class AsymmetricFence {
public:
    COFUTURES_EXPORT AsymmetricFence() noexcept;

    void light() const noexcept {
        if (remote_) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        } else {
            std::atomic_thread_fence(std::memory_order_seq_cst);
        }
    }
    COFUTURES_EXPORT void heavy() const noexcept;

private:
    const bool remote_;  // the system has others pass the fence
};

}  // namespace cofutures::detail
