#pragma once

#include <cofutures/export.hpp>

/// Major, minor and patch of the headers, as numbers for `#if`.
#define COFUTURES_VERSION_MAJOR 0
#define COFUTURES_VERSION_MINOR 1
#define COFUTURES_VERSION_PATCH 0

namespace cofutures {

/// Gives the version of the compiled library, as "major.minor.patch".
///
/// It differs from the macros when a program runs with another library than it was built against.
///
/// @returns A string that lives as long as the program.
/// @thread_safety Safe.
COFUTURES_EXPORT const char* version() noexcept;

}  // namespace cofutures
