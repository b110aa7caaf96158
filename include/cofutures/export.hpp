#pragma once

/// @file
/// `COFUTURES_EXPORT` marks what a shared build of the library makes visible.
///
/// The library is compiled with hidden visibility; on ELF one spelling serves both the library and
/// its users, and a static build ignores it.

#if defined(__GNUC__)
#    define COFUTURES_EXPORT __attribute__((visibility("default")))
#else
#    define COFUTURES_EXPORT
#endif
