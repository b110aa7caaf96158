#pragma once

#include <cstddef>

namespace cofutures::detail {

/// What processors pass between them, in bytes. What one thread writes often lies that far from
/// what others read often, or each of its writes would take theirs away. Not the standard library's
/// value: that changes with the compiler's options, and with it the layout of public types.
inline constexpr std::size_t cache_line = 64;

}  // namespace cofutures::detail
