#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace cofutures::process {

/// Gives out ranges of a file that grows as needed, and takes them back: where, and whether the
/// system has memory behind them already. It touches no memory and asks no system.
///
/// The first range that fits is given, so that what was used before is used again: memory that is
/// new costs several times as much as copying into it.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe.
class RangeAllocator {
public:
    /// Ranges begin at multiples of this, and end there.
    static constexpr std::uint64_t unit = 16 * std::uint64_t{1024};

    struct Range {
        std::uint64_t offset = 0;
        std::uint64_t size = 0;

        bool operator==(const Range&) const = default;
    };

    struct Allocation {
        Range range;
        /// No memory is behind it yet.
        bool is_fresh = false;
    };

    /// @param limit      The most bytes in use at one time; a multiple of `unit`.
    /// @param kept_free  The most unused bytes that keep their memory.
    RangeAllocator(std::uint64_t limit, std::uint64_t kept_free) noexcept
        : limit_(limit), kept_free_(kept_free) {}

    /// Finds room for `size` bytes, more than 0; nothing if there is none within the limit.
    [[nodiscard]] std::optional<Allocation> allocate(std::uint64_t size);

    /// Takes back the range that begins at `offset`.
    ///
    /// @returns A range whose memory is to be given back to the system, if one is.
    [[nodiscard]] std::optional<Range> release(std::uint64_t offset);

    /// Takes back a fresh range for which the system had no memory.
    void forget(std::uint64_t offset);

    [[nodiscard]] std::uint64_t in_use() const noexcept { return in_use_; }
    /// Unused bytes that keep their memory.
    [[nodiscard]] std::uint64_t kept() const noexcept { return kept_; }

private:
    using Ranges = std::map<std::uint64_t, std::uint64_t>;  // offset to size

    static std::optional<Range> take(Ranges& ranges, std::uint64_t size);
    static void put(Ranges& ranges, Range range);
    Range take_used(std::uint64_t offset);

    const std::uint64_t limit_;
    const std::uint64_t kept_free_;
    std::uint64_t in_use_ = 0;
    std::uint64_t kept_ = 0;
    std::uint64_t end_ = 0;  // one past the last byte ever given out
    Ranges used_;
    Ranges free_;   // with memory behind them, no two adjacent
    Ranges holes_;  // without, no two adjacent
};

}  // namespace cofutures::process
