#pragma once

#include <cstddef>
#include <iterator>
#include <limits>

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

}  // namespace cofutures::test
