#pragma once

namespace cofutures::test {

// g++ says by macros which sanitizer a program is built with, clang by __has_feature.
#if defined(__has_feature)
inline constexpr bool address_sanitizer = __has_feature(address_sanitizer);
inline constexpr bool thread_sanitizer = __has_feature(thread_sanitizer);
#else
#    if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#    else
inline constexpr bool address_sanitizer = false;
#    endif
#    if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitizer = true;
#    else
inline constexpr bool thread_sanitizer = false;
#    endif
#endif

/// Whether the program runs under a sanitizer: it is many times slower then, maps more memory than
/// any limit of a test leaves, and may hold descriptors and a process of its own.
inline constexpr bool sanitized = address_sanitizer || thread_sanitizer;

}  // namespace cofutures::test
