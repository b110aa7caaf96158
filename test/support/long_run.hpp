#pragma once

#include "support/eventually.hpp"
#include "support/leak_check.hpp"

#include <cstdint>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include <malloc.h>

/// @file
/// What programs share that do random operations for as long as one likes.

namespace cofutures::test {

using Random = std::minstd_rand;

/// A random number from 0 to limit - 1.
inline int below(Random& random, int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
}

/// Throws unless it holds.
inline void require(bool holds, const std::string& what) {
    if (!holds) {
        throw std::logic_error(what);
    }
}

/// How long a program of random operations goes on, and with which numbers.
struct LongRunArguments {
    int seconds = 5;
    std::uint32_t seed = std::random_device()();

    static LongRunArguments parse(int argc, char** argv) {
        LongRunArguments arguments;
        if (const char* given = std::getenv("COFUTURES_TEST_SEED"); given != nullptr) {
            arguments.seed = static_cast<std::uint32_t>(std::stoul(given));
        }
        for (int i = 1; i < argc; i += 2) {
            const std::string_view name = argv[i];
            if (i + 1 == argc || (name != "--seconds" && name != "--seed")) {
                throw std::invalid_argument("usage: [--seconds N] [--seed S]");
            }
            if (name == "--seconds") {
                arguments.seconds = std::stoi(argv[i + 1]);
            } else {
                arguments.seed = static_cast<std::uint32_t>(std::stoul(argv[i + 1]));
            }
        }
        return arguments;
    }
};

/// What the allocator has given out; nothing under a sanitizer that has its own.
inline double used_mib() {
    return static_cast<double>(mallinfo2().uordblks) / (1 << 20);
}

/// Waits until no more threads and children are there than before: a joined thread's entry lingers.
inline void require_nothing_left(const Holdings& before) {
    Holdings after;
    const auto threads_have_gone = [&] {
        after = Holdings::now();
        return after.threads <= before.threads;
    };
    require(eventually(threads_have_gone), "a thread is left");
    require(after.children <= before.children, "a child process is left");
    require(after.descriptors <= before.descriptors, "a descriptor is left");
}

}  // namespace cofutures::test
