#pragma once

#include <atomic>

namespace cofutures::detail {

/// How many forks lie between the first process and this one, as far as they were watched.
inline constinit std::atomic<unsigned> forks_so_far{0};

/// Begins to count the forks of this process; once is enough. Costs nothing but for fork().
void watch_forks();

/// Tells whether an object is used in the process that made it: in a forked child there are none of
/// its threads, and its mutexes may be locked for good.
class HomeProcess {
public:
    HomeProcess() : forks_((watch_forks(), forks_so_far.load(std::memory_order_relaxed))) {}

    [[nodiscard]] bool is_here() const noexcept {
        return forks_so_far.load(std::memory_order_relaxed) == forks_;
    }

private:
    const unsigned forks_;
};

}  // namespace cofutures::detail
