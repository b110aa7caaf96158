#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace cofutures::test {

/// The seed of a random test: COFUTURES_TEST_SEED if set, else a new one. Printed, so that a
/// failure can be repeated.
inline std::uint32_t seed() {
    const char* given = std::getenv("COFUTURES_TEST_SEED");
    const std::uint32_t chosen = given != nullptr
                                     ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                     : std::random_device()();
    std::cout << "COFUTURES_TEST_SEED=" << chosen << std::endl;
    return chosen;
}

}  // namespace cofutures::test
