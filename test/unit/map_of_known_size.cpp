#include <cofutures/map.hpp>

#define BOOST_TEST_MODULE map_of_known_size
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <compare>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <stdexcept>
#include <vector>

using namespace cofutures;
using cofutures::test::eventually;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

// Not without a name: clang warns of a comparison that is there for a concept only.
namespace inputs {

/// 0, 1, 2, ..., which can be read again, says how long it is, and may be shorter or throw.
struct Said {
    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        iterator(int value, const Said& range) : value_(value), range_(&range) {}

        int operator*() const {
            if (value_ == range_->throws_at) {
                throw std::domain_error("input");
            }
            return value_;
        }
        iterator& operator++() {
            ++value_;
            return *this;
        }
        iterator operator++(int) {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const iterator&, const iterator&) = default;
        friend bool operator==(const iterator& position, std::default_sentinel_t) {
            return position.value_ == position.range_->end_at;
        }

    private:
        int value_ = 0;
        const Said* range_ = nullptr;
    };

    std::size_t said;
    int end_at;
    int throws_at = -1;

    [[nodiscard]] iterator begin() const { return {0, *this}; }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }
    [[nodiscard]] std::size_t size() const { return said; }
};
static_assert(std::ranges::forward_range<Said> && std::ranges::sized_range<Said>);

/// 0, 1, 2, ... of random access, whose iterators throw when they go to a place, or are read there.
struct Stumbling {
    class iterator {
    public:
        using value_type = Observed;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        iterator(std::ptrdiff_t place, const Stumbling& range) : place_(place), range_(&range) {}

        Observed operator*() const {
            if (place_ == range_->throws_when_read) {
                throw std::domain_error("input");
            }
            return Observed(*range_->counts, static_cast<int>(place_));
        }
        Observed operator[](std::ptrdiff_t n) const { return *(*this + n); }
        iterator& operator+=(std::ptrdiff_t n) {
            if (place_ + n == range_->throws_at) {
                throw std::domain_error("input");
            }
            place_ += n;
            return *this;
        }
        iterator& operator-=(std::ptrdiff_t n) { return *this += -n; }
        iterator& operator++() { return *this += 1; }
        iterator& operator--() { return *this += -1; }
        iterator operator++(int) {
            iterator before = *this;
            ++*this;
            return before;
        }
        iterator operator--(int) {
            iterator before = *this;
            --*this;
            return before;
        }
        friend iterator operator+(iterator at, std::ptrdiff_t n) { return at += n; }
        friend iterator operator+(std::ptrdiff_t n, iterator at) { return at += n; }
        friend iterator operator-(iterator at, std::ptrdiff_t n) { return at += -n; }
        friend std::ptrdiff_t operator-(const iterator& a, const iterator& b) {
            return a.place_ - b.place_;
        }
        friend bool operator==(const iterator& a, const iterator& b) {
            return a.place_ == b.place_;
        }
        friend auto operator<=>(const iterator& a, const iterator& b) {
            return a.place_ <=> b.place_;
        }

    private:
        std::ptrdiff_t place_ = 0;
        const Stumbling* range_ = nullptr;
    };

    ObjectCounts* counts;
    std::ptrdiff_t size;
    std::ptrdiff_t throws_at = -1;
    std::ptrdiff_t throws_when_read = -1;

    [[nodiscard]] iterator begin() const { return {0, *this}; }
    [[nodiscard]] iterator end() const { return {size, *this}; }
};
static_assert(std::ranges::random_access_range<Stumbling> && std::ranges::sized_range<Stumbling>);

/// Says how many are left, and takes the first one when reading begins: what it says then is less.
struct Queue {
    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;

        explicit iterator(Queue& queue) : queue_(&queue) { ++*this; }

        int operator*() const { return queue_->first; }
        iterator& operator++() {
            at_end_ = queue_->left == 0;
            if (!at_end_) {
                --queue_->left;
                ++queue_->first;
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& position, std::default_sentinel_t) {
            return position.at_end_;
        }

    private:
        Queue* queue_;
        bool at_end_ = false;
    };

    std::size_t left;
    int first = -1;

    iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }
    [[nodiscard]] std::size_t size() const { return left; }
};
static_assert(std::ranges::input_range<Queue> && std::ranges::sized_range<Queue>);

}  // namespace inputs

using inputs::Queue;
using inputs::Said;
using inputs::Stumbling;

namespace {

int twice(int value) {
    return 2 * value;
}

int value_of(const Observed& item) {
    return item.value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(map_of_known_size)

BOOST_AUTO_TEST_CASE(input_that_throws_throws_out_of_map) {
    ThreadPoolExecutor pool(1);
    const Said input{.said = 10, .end_at = 10, .throws_at = 5};
    BOOST_CHECK_THROW(static_cast<void>(pool.map(twice, input)), std::domain_error);
}

BOOST_AUTO_TEST_CASE(input_of_random_access_that_throws_throws_out_of_map_and_leaves_no_argument) {
    for (const std::ptrdiff_t place : {1, 5, 49, 99}) {
        for (const bool when_read : {true, false}) {
            ThreadPoolExecutor pool(1);
            ObjectCounts counts;
            const Stumbling input{
                .counts = &counts,
                .size = 100,
                .throws_at = when_read ? -1 : place,
                .throws_when_read = when_read ? place : -1};
            BOOST_CHECK_THROW(static_cast<void>(pool.map(value_of, input)), std::domain_error);
            pool.shutdown();
            BOOST_TEST(counts.live() == 0);
        }
    }
}

BOOST_AUTO_TEST_CASE(iterators_of_an_input_do_not_go_past_what_is_read) {
    ThreadPoolExecutor pool(1);
    ObjectCounts counts;
    const Stumbling input{.counts = &counts, .size = 100, .throws_at = 100};
    int next = 0;
    for (const int value : pool.map(value_of, input)) {
        BOOST_TEST_REQUIRE(value == next++);
    }
    BOOST_TEST(next == 100);
}

BOOST_AUTO_TEST_CASE(the_shortest_input_of_random_access_ends_them_all) {
    ThreadPoolExecutor pool(1);
    const std::vector<int> tens{10, 20, 30};
    const std::vector<int> ones{0, 1, 2, 3, 4};
    const auto sum = [](int a, int b) {
        return a + b;
    };
    auto first = pool.map(sum, tens, ones);
    auto second = pool.map(sum, ones, tens);
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(*first.next() == i + 10 * (i + 1));
        BOOST_TEST(*second.next() == i + 10 * (i + 1));
    }
    BOOST_TEST(!first.next().has_value());
    BOOST_TEST(!second.next().has_value());
}

BOOST_AUTO_TEST_CASE(input_may_be_shorter_than_it_says) {
    ThreadPoolExecutor pool(1);
    const Said input{.said = 10, .end_at = 5};
    auto range = pool.map(twice, input);
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST_REQUIRE(*range.next() == 2 * i);
    }
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(input_that_can_be_read_once_is_read_to_its_end) {
    ThreadPoolExecutor pool(1);
    auto range = pool.map(twice, Queue{.left = 5});
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST_REQUIRE(*range.next() == 2 * i);
    }
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(no_memory_is_taken_for_what_is_never_read) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    const Said input{.said = std::size_t{1} << 60, .end_at = -1};
    BOOST_CHECK_THROW(static_cast<void>(pool.map(twice, input)), ShutdownError);
}

BOOST_AUTO_TEST_CASE(result_that_nobody_wants_is_destroyed_when_its_call_ends) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(2);
    Gate first;
    Gate second;
    Gate begun;
    const Said input{.said = 2, .end_at = 2};
    auto range = pool.map(
        {.chunksize = 1},
        [&](int item) {
            if (item == 0) {
                first.wait();
            } else {
                begun.open();
                second.wait();
            }
            return Observed(counts, item);
        },
        input
    );
    begun.wait();
    range.close();
    second.open();
    // The first one runs on.
    BOOST_REQUIRE(eventually([&] { return counts.made != 0 && counts.live() == 0; }));
    first.open();
    pool.shutdown();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
