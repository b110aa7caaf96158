#pragma once

namespace cofutures {

/// What `submit` does when a bounded queue has no room.
///
/// A task that submits to its own pool never waits for room, as it might hold the worker that would
/// make some: it goes over the bound with `block`.
enum class OnFull {
    block,   ///< waits until there is room; throws DeadlockError if that would never end
    reject,  ///< throws QueueFullError
};

}  // namespace cofutures
