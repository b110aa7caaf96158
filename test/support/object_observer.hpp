#pragma once

#include <atomic>
#include <utility>

namespace cofutures::test {

/// What happened to the objects that report to it.
struct ObjectCounts {
    std::atomic<int> made{0};
    std::atomic<int> copies{0};
    std::atomic<int> moves{0};
    std::atomic<int> destroyed{0};

    /// Objects that exist now.
    [[nodiscard]] int live() const { return made + copies + moves - destroyed; }
};

/// A value that reports its copies, moves and end.
class Observed {
public:
    explicit Observed(ObjectCounts& counts, int value = 0) : counts_(&counts), value_(value) {
        ++counts_->made;
    }
    Observed(const Observed& other) : counts_(other.counts_), value_(other.value_) {
        ++counts_->copies;
    }
    Observed(Observed&& other) noexcept
        : counts_(other.counts_), value_(std::exchange(other.value_, -1)) {
        ++counts_->moves;
    }
    Observed& operator=(const Observed&) = delete;
    ~Observed() { ++counts_->destroyed; }

    /// -1 once it was moved from.
    [[nodiscard]] int value() const { return value_; }

private:
    ObjectCounts* counts_;
    int value_;
};

/// The same without copies.
class MoveOnlyObserved : public Observed {
public:
    using Observed::Observed;
    MoveOnlyObserved(MoveOnlyObserved&&) noexcept = default;
};

}  // namespace cofutures::test
