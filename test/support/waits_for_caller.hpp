#pragma once

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>

#include "core/wait_graph.hpp"

#include "support/eventually.hpp"

#include <stdexcept>

/// @file
/// For tests that see private code.

namespace cofutures::test {

/// Waits, in a task, until another one sleeps in a wait that this one has to end. Throws, and so
/// fails the test, if that takes too long.
template <class T>
void await_waiting_for_caller(const Future<T>& task) {
    const auto waits = [&] {
        try {
            detail::refuse_endless_wait(detail::FutureAccess::state(task));
            return false;
        } catch (const DeadlockError&) {
            return true;
        }
    };
    if (!eventually(waits)) {
        throw std::runtime_error("a task did not come to wait in time");
    }
}

}  // namespace cofutures::test
