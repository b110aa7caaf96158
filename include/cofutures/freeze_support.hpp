#pragma once

#include <cofutures/export.hpp>

namespace cofutures {

/// Makes this program able to be a worker of its own process pools: the first line of `main`.
///
/// A ProcessPoolExecutor starts its workers as this same program. In such a process the call serves
/// tasks until the pool lets it go, and never returns; in any other it does nothing. What stands
/// before it, and the initialisation of static objects, runs in each worker too.
///
/// @param argc, argv  What `main` was given.
/// @throws nothing    A worker whose pool has died ends itself.
/// @python            multiprocessing.freeze_support().
COFUTURES_EXPORT void freeze_support(int argc, char** argv) noexcept;

}  // namespace cofutures
