#pragma once

#include "support/eventually.hpp"

#include <array>
#include <fstream>
#include <string>

#include <pthread.h>
#include <sys/types.h>

/// @file
/// What the system says of threads.

namespace cofutures::test {

/// The calling thread's name.
inline std::string thread_name() {
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    return name.data();
}

/// Waits until a thread of this process sleeps, as a worker does when it has nothing to do and has
/// given up looking; false if that takes too long.
[[nodiscard]] inline bool falls_asleep(pid_t thread) {
    return eventually([path = "/proc/self/task/" + std::to_string(thread) + "/stat"] {
        std::string line;
        std::getline(std::ifstream(path), line);
        const auto end_of_name = line.rfind(')');
        return end_of_name != std::string::npos && line.substr(end_of_name, 3) == ") S";
    });
}

}  // namespace cofutures::test
