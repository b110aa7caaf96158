#pragma once

#include "support/gate.hpp"

#include <chrono>
#include <thread>

namespace cofutures::test {

/// Waits until something is so that another thread or process brings about, and of which no gate
/// can tell; false if that takes too long.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + generous;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace cofutures::test
