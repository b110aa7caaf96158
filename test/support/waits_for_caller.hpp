#pragma once

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>

#include "core/wait_graph.hpp"

#include "support/eventually.hpp"

/// @file
/// For tests that see private code.

namespace cofutures::test {

/// Waits, in a task, until another one sleeps in a wait that this one has to end; false if that
/// takes too long.
template <class T>
[[nodiscard]] bool comes_to_wait_for_caller(const Future<T>& task) {
    return eventually([&] {
        try {
            detail::refuse_endless_wait(detail::FutureAccess::state(task));
            return false;
        } catch (const DeadlockError&) {
            return true;
        }
    });
}

}  // namespace cofutures::test
