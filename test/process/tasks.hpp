#pragma once

#include <cofutures/export.hpp>
#include <cofutures/process_pool_executor.hpp>

/// @file
/// Tasks that live in libraries beside the program.

namespace cofutures::test::library {

/// In a shared library: adds one.
COFUTURES_EXPORT int shared_task(int value);

/// In a static library: takes two away.
int static_task(int value);

/// Submits, from within the shared library, a lambda of its own that adds three.
COFUTURES_EXPORT Future<int> submit_from_shared(Executor& executor, int value);

/// Submits, from within the shared library, its function `shared_task`.
COFUTURES_EXPORT Future<int> submit_function_from_shared(Executor& executor, int value);

}  // namespace cofutures::test::library
