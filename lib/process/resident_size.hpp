#pragma once

#include <cstdint>

namespace cofutures::process {

/// How much memory a process has resident, in bytes; 0 if that is not known.
[[nodiscard]] std::uint64_t resident_size(std::int64_t pid);

}  // namespace cofutures::process
