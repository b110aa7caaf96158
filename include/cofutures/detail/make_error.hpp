#pragma once

#include <exception>
#include <utility>

namespace cofutures::detail {

/// An exception to end a future with, where nothing may be thrown. Short of memory for it, and for
/// its message, it is the std::bad_alloc that says so.
template <class Error, class... Args>
std::exception_ptr make_error(Args&&... args) noexcept {
    try {
        return std::make_exception_ptr(Error(std::forward<Args>(args)...));
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace cofutures::detail
