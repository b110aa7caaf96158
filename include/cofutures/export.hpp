#pragma once

/// @file
/// `COFUTURES_EXPORT` marks what a shared build of the library makes visible.
///
/// The library is compiled with hidden visibility; on ELF one spelling serves both the library and
/// its users, and a static build ignores it. `COFUTURES_LOCAL` marks what each module that uses the
/// library has for itself.

#if defined(__GNUC__)
#    define COFUTURES_EXPORT __attribute__((visibility("default")))
#    define COFUTURES_LOCAL __attribute__((visibility("hidden")))
#else
#    define COFUTURES_EXPORT
#    define COFUTURES_LOCAL
#endif
