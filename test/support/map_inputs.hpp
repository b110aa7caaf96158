#pragma once

#include <cstddef>
#include <iterator>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace cofutures::test {

/// 0, 1, 2, ... up to a limit or without end; may count the elements that were read. As
/// std::views::iota, which clang 14 does not compile with libstdc++.
class Naturals {
public:
    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;

        iterator(int value, const Naturals& range) : value_(value), range_(&range) {}

        int operator*() const {
            if (range_->read_ != nullptr) {
                ++*range_->read_;
            }
            return value_;
        }
        iterator& operator++() {
            ++value_;
            return *this;
        }
        void operator++(int) { ++value_; }

        bool operator==(std::default_sentinel_t) const { return value_ >= range_->end_; }

    private:
        int value_;
        const Naturals* range_;
    };

    explicit Naturals(int end = std::numeric_limits<int>::max(), int* read = nullptr)
        : end_(end), read_(read) {}

    [[nodiscard]] iterator begin() const { return {0, *this}; }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    int end_;
    int* read_;
};

/// 0, 1, 2, ..., so many.
inline std::vector<int> numbers_to(int count) {
    std::vector<int> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

/// Endless input that says how many elements were made, and may throw instead of making one.
class Counting {
public:
    explicit Counting(int throw_at = -1) : throw_at_(throw_at) {}

    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;

        explicit iterator(Counting& owner) : owner_(&owner) {}
        int operator*() const {
            if (owner_->made_ == owner_->throw_at_) {
                throw std::domain_error("input");
            }
            return owner_->made_++;
        }
        iterator& operator++() { return *this; }
        void operator++(int) {}
        friend bool operator==(const iterator&, std::default_sentinel_t) { return false; }

    private:
        Counting* owner_;
    };

    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() { return {}; }
    [[nodiscard]] int made() const { return made_; }

private:
    int made_ = 0;
    int throw_at_;
};

}  // namespace cofutures::test
