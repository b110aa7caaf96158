#pragma once

#include <cofutures/error.hpp>

#include "process/exception_codec.hpp"
#include "process/message.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <typeinfo>
#include <vector>

/// @file
/// Exceptions on their way to another process and back. For tests that see private code.

namespace cofutures::test {

/// To another process and back: through the bytes too.
inline std::exception_ptr cross(const std::exception_ptr& error) {
    std::vector<std::byte> bytes;
    process::append_message(bytes, process::capture_failure(error, "worker 1, task \"t\""));
    return process::rebuild(process::read_failure(bytes));
}

/// What the call throws; null if nothing.
template <class Throw>
std::exception_ptr caught(Throw thrower) {
    try {
        thrower();
    } catch (...) {
        return std::current_exception();
    }
    return nullptr;
}

/// Arrives as exactly this type and with this text; gives the exception for further checks.
template <class Exception>
Exception check_same(const std::exception_ptr& error) {
    std::string text;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& original) {
        BOOST_REQUIRE((typeid(original) == typeid(Exception)));
        text = original.what();
    }
    try {
        std::rethrow_exception(cross(error));
    } catch (const std::exception& back) {
        BOOST_TEST_CONTEXT(typeid(Exception).name()) {
            BOOST_TEST((typeid(back) == typeid(Exception)));
            BOOST_TEST(back.what() == text);
        }
        return dynamic_cast<const Exception&>(back);
    }
}

template <class Exception>
Exception check_same(const Exception& error) {
    return check_same<Exception>(std::make_exception_ptr(error));
}

/// Arrives as a RemoteError, which it gives.
inline RemoteError check_remote(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(cross(error));
    } catch (const RemoteError& remote) {
        return remote;
    }
}

}  // namespace cofutures::test
