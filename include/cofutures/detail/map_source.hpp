#pragma once

#include <cofutures/detail/map_slot.hpp>

#include <atomic>
#include <cstddef>
#include <new>
#include <optional>

namespace cofutures::detail {

/// What a MapRange reads from. The range's alone; not thread-safe.
template <class Value>
class MapSource {
public:
    MapSource(const MapSource&) = delete;
    MapSource& operator=(const MapSource&) = delete;
    virtual ~MapSource() = default;

    /// Waits for the next result and puts it there, where nothing is; leaves nothing at the end.
    /// Not by return: what is read at once again would have to be fetched from several stores.
    void next(std::optional<Value>& result) {
        if (row_.is_value_next()) {
            move_out(row_.take(), result);
        } else {
            wait_for_next(result);
        }
    }

    virtual void close() noexcept = 0;

protected:
    /// Outcomes that lie side by side, if this source has its own so. Those that are there and are
    /// values are taken without a call of a virtual function, which costs more than many an item.
    struct Row {
        std::size_t next = 0;
        const std::atomic<MapPhase>* phases = nullptr;
        std::byte* values = nullptr;
        std::size_t stride = 0;  // from one value to the next, in bytes
        // Away from `next`: two neighbours may be loaded at once, which waits for the store of
        // either.
        std::size_t end = 0;

        [[nodiscard]] bool is_value_next() const noexcept {
            return next != end &&
                   phases[next].load(std::memory_order_acquire) == MapPhase::returned;
        }
        /// It is the caller's, who destroys it.
        Value& take() noexcept {
            return *std::launder(reinterpret_cast<Value*>(values + stride * next++));
        }
    };

    MapSource() = default;

    virtual void wait_for_next(std::optional<Value>& result) = 0;

    Row row_;
};

}  // namespace cofutures::detail
