#pragma once

#include <cstddef>
#include <string>

namespace cofutures::detail {

/// Names the calling thread `prefix_index`, as debuggers and `top` show it. Where the system has
/// room for less, the prefix is cut and the index stays.
void name_this_thread(const std::string& prefix, std::size_t index) noexcept;

}  // namespace cofutures::detail
