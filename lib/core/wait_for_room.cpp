#include "core/wait_for_room.hpp"

#include <cofutures/error.hpp>

#include <string>

namespace cofutures::detail {

void wait_for_room(const Future<void>& taken, StateBase& task, const TaskPlace& place) {
    FutureAccess::state(taken).set_place(&place);
    try {
        taken.result();
    } catch (const DeadlockError& error) {
        // Somebody may have made room after all, by cancelling: then it is in the queue like any
        // other, or has even begun.
        if (task.cancel()) {
            throw DeadlockError(std::string("the queue is full, and ") + error.what());
        }
    }
}

}  // namespace cofutures::detail
