#pragma once

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>

#include "support/gate.hpp"

#include <string>

namespace cofutures::test {

/// What the DeadlockError says that a call ended with; nothing if it returned.
template <class T>
std::string refusal_of(const Future<T>& call) {
    try {
        static_cast<void>(call.result(generous));
    } catch (const DeadlockError& error) {
        return error.what();
    }
    return {};
}

}  // namespace cofutures::test
