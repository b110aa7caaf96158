#pragma once

#include "core/cpu.hpp"

#include <thread>

namespace cofutures::detail {

/// Looks for some tens of microseconds whether `condition()` comes true, before the caller sleeps
/// for it: about the time that falling asleep and being woken take. Gives its processor away often,
/// so that it does not keep off the very thread that would make the condition true.
template <class Condition>
bool spin_until(Condition condition) noexcept {
    constexpr int rounds = 100;
    constexpr int looks_per_round = 4;
    for (int round = 0; round < rounds; ++round) {
        for (int look = 0; look < looks_per_round; ++look) {
            if (condition()) {
                return true;
            }
            cpu_relax();
        }
        std::this_thread::yield();
    }
    return condition();
}

}  // namespace cofutures::detail
