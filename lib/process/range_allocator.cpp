#include "process/range_allocator.hpp"

#include <boost/assert.hpp>

#include <algorithm>
#include <iterator>

namespace cofutures::process {

std::optional<RangeAllocator::Allocation> RangeAllocator::allocate(std::uint64_t size) {
    if (size > limit_) {  // which rounding might not see
        return std::nullopt;
    }
    const std::uint64_t rounded = (size + unit - 1) / unit * unit;
    if (rounded > limit_ - in_use_) {
        return std::nullopt;
    }
    Allocation allocation;
    if (const auto kept = take(free_, rounded)) {
        allocation.range = *kept;
        kept_ -= rounded;
    } else {
        allocation.is_fresh = true;
        const auto hole = take(holes_, rounded);
        allocation.range = hole.value_or(Range{end_, rounded});
        end_ = std::max(end_, allocation.range.offset + rounded);
    }
    used_.emplace(allocation.range.offset, rounded);
    in_use_ += rounded;
    return allocation;
}

std::optional<RangeAllocator::Range> RangeAllocator::release(std::uint64_t offset) {
    const Range range = take_used(offset);
    if (kept_ + range.size <= kept_free_) {
        kept_ += range.size;
        put(free_, range);
        return std::nullopt;
    }
    put(holes_, range);
    return range;
}

void RangeAllocator::forget(std::uint64_t offset) {
    put(holes_, take_used(offset));
}

RangeAllocator::Range RangeAllocator::take_used(std::uint64_t offset) {
    const auto found = used_.find(offset);
    BOOST_ASSERT_MSG(found != used_.end(), "only what was given out is taken back");
    const Range range{offset, found->second};
    used_.erase(found);
    in_use_ -= range.size;
    return range;
}

// Takes `size` bytes from the first range that has them.
std::optional<RangeAllocator::Range> RangeAllocator::take(Ranges& ranges, std::uint64_t size) {
    const auto found =
        std::ranges::find_if(ranges, [size](const auto& range) { return range.second >= size; });
    if (found == ranges.end()) {
        return std::nullopt;
    }
    const Range whole{found->first, found->second};
    ranges.erase(found);
    if (whole.size != size) {
        ranges.emplace(whole.offset + size, whole.size - size);
    }
    return Range{whole.offset, size};
}

// Adds a range, joined with those that touch it.
void RangeAllocator::put(Ranges& ranges, Range range) {
    const auto next = ranges.lower_bound(range.offset);
    if (next != ranges.end() && next->first == range.offset + range.size) {
        range.size += next->second;
        ranges.erase(next);
    }
    const auto after = ranges.lower_bound(range.offset);
    if (after != ranges.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == range.offset) {
            before->second += range.size;
            return;
        }
    }
    ranges.emplace(range.offset, range.size);
}

}  // namespace cofutures::process
