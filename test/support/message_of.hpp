#pragma once

#include <exception>
#include <string>

namespace cofutures::test {

/// The message of the error that `call` throws.
template <class Error, class Call>
std::string message_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing of that type was thrown";
}

/// The message of the error that is nested in the one that `call` throws.
template <class Outer, class Cause, class Call>
std::string cause_of(Call call) {
    try {
        call();
    } catch (const Outer& outer) {
        return message_of<Cause>([&outer] { std::rethrow_if_nested(outer); });
    }
    return "nothing of that type was thrown";
}

}  // namespace cofutures::test
