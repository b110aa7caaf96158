#include "process/range_allocator.hpp"

#define BOOST_TEST_MODULE range_allocator
#include <boost/test/unit_test.hpp>

#include "support/seed.hpp"

#include <cstdint>
#include <map>
#include <random>
#include <vector>

using cofutures::process::RangeAllocator;
using Range = RangeAllocator::Range;

namespace {

constexpr std::uint64_t unit = RangeAllocator::unit;

BOOST_AUTO_TEST_CASE(ranges_are_whole_units_one_after_another) {
    RangeAllocator ranges(100 * unit, 100 * unit);
    BOOST_TEST((ranges.allocate(1)->range == Range{0, unit}));
    BOOST_TEST((ranges.allocate(unit + 1)->range == Range{unit, 2 * unit}));
    BOOST_TEST((ranges.allocate(unit)->range == Range{3 * unit, unit}));
    BOOST_TEST(ranges.in_use() == 4 * unit);
}

BOOST_AUTO_TEST_CASE(new_range_is_fresh_and_one_used_again_is_not) {
    RangeAllocator ranges(100 * unit, 100 * unit);
    BOOST_TEST(ranges.allocate(unit)->is_fresh);
    BOOST_TEST(!ranges.release(0));
    const auto again = ranges.allocate(unit);
    BOOST_TEST(!again->is_fresh);
    BOOST_TEST((again->range == Range{0, unit}));
}

BOOST_AUTO_TEST_CASE(neighbours_that_come_back_are_joined) {
    RangeAllocator ranges(100 * unit, 100 * unit);
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(ranges.allocate(unit)->is_fresh);
    }
    BOOST_TEST(!ranges.release(0));
    BOOST_TEST(!ranges.release(2 * unit));
    BOOST_TEST(!ranges.release(unit));
    const auto whole = ranges.allocate(3 * unit);
    BOOST_TEST(!whole->is_fresh);
    BOOST_TEST((whole->range == Range{0, 3 * unit}));
}

BOOST_AUTO_TEST_CASE(first_range_that_fits_is_split) {
    RangeAllocator ranges(100 * unit, 100 * unit);
    BOOST_TEST(ranges.allocate(4 * unit)->is_fresh);
    BOOST_TEST(!ranges.release(0));
    BOOST_TEST((ranges.allocate(unit)->range == Range{0, unit}));
    BOOST_TEST((ranges.allocate(3 * unit)->range == Range{unit, 3 * unit}));
    BOOST_TEST(ranges.kept() == 0U);
}

BOOST_AUTO_TEST_CASE(nothing_is_given_beyond_the_limit) {
    RangeAllocator ranges(2 * unit, 2 * unit);
    BOOST_TEST(!ranges.allocate(3 * unit));
    BOOST_TEST(!ranges.allocate(~std::uint64_t{0}));
    BOOST_TEST(ranges.allocate(2 * unit).has_value());
    BOOST_TEST(!ranges.allocate(1));
    BOOST_TEST(!ranges.release(0));
    BOOST_TEST(ranges.allocate(1).has_value());
}

BOOST_AUTO_TEST_CASE(memory_beyond_what_is_kept_is_given_back) {
    RangeAllocator ranges(100 * unit, unit);
    BOOST_TEST(ranges.allocate(unit)->is_fresh);
    BOOST_TEST(ranges.allocate(unit)->is_fresh);
    BOOST_TEST(!ranges.release(0));
    const auto given_back = ranges.release(unit);
    BOOST_REQUIRE(given_back.has_value());
    BOOST_TEST((*given_back == Range{unit, unit}));
    BOOST_TEST(ranges.kept() == unit);
    BOOST_TEST(!ranges.allocate(unit)->is_fresh);
    const auto again = ranges.allocate(unit);
    BOOST_TEST(again->is_fresh);
    BOOST_TEST((again->range == Range{unit, unit}));
}

BOOST_AUTO_TEST_CASE(range_without_memory_is_fresh_when_it_comes_again) {
    RangeAllocator ranges(100 * unit, 100 * unit);
    BOOST_TEST(ranges.allocate(2 * unit)->is_fresh);
    ranges.forget(0);
    BOOST_TEST(ranges.in_use() == 0U);
    const auto again = ranges.allocate(unit);
    BOOST_TEST(again->is_fresh);
    BOOST_TEST((again->range == Range{0, unit}));
}

BOOST_AUTO_TEST_CASE(random_ranges_never_overlap) {
    std::mt19937_64 random(cofutures::test::seed());
    RangeAllocator ranges(256 * unit, 64 * unit);
    std::map<std::uint64_t, std::uint64_t> used;
    std::uint64_t in_use = 0;
    for (int step = 0; step < 20'000; ++step) {
        if (used.empty() || random() % 2 == 0) {
            const auto given = ranges.allocate(1 + random() % (16 * unit));
            if (!given) {
                continue;
            }
            const auto [offset, size] = given->range;
            const auto next = used.lower_bound(offset);
            BOOST_REQUIRE((next == used.end() || offset + size <= next->first));
            if (next != used.begin()) {
                const auto before = std::prev(next);
                BOOST_REQUIRE(before->first + before->second <= offset);
            }
            used.emplace(offset, size);
            in_use += size;
        } else {
            auto victim = used.begin();
            std::advance(victim, static_cast<std::ptrdiff_t>(random() % used.size()));
            static_cast<void>(ranges.release(victim->first));
            in_use -= victim->second;
            used.erase(victim);
        }
        BOOST_REQUIRE(ranges.in_use() == in_use);
        BOOST_REQUIRE(ranges.kept() <= 64 * unit);
    }
}

}  // namespace
