#pragma once

#include <cofutures/detail/exception_type.hpp>

#include <string>
#include <string_view>
#include <typeinfo>

namespace cofutures::process {

/// What an exception's type is called on its way: that of the type which was meant, not what
/// `std::throw_with_nested` and `boost::throw_exception` make of it.
[[nodiscard]] std::string name_of(const std::type_info* type);

/// The type of that name that the program registered; null if it registered none. Thread-safe.
[[nodiscard]] const detail::ExceptionType* find_exception_type(std::string_view name);

}  // namespace cofutures::process
