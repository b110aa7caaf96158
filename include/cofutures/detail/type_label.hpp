#pragma once

#include <cofutures/export.hpp>

#include <string>
#include <type_traits>
#include <typeinfo>

namespace cofutures::detail {

/// A type's name as a person writes it.
COFUTURES_EXPORT std::string readable_name(const std::type_info& type);

/// The name of T for messages: as written, `const`-free, with `&` for a reference.
template <class T>
std::string type_label() {
    return readable_name(typeid(T)) + (std::is_reference_v<T> ? "&" : "");
}

}  // namespace cofutures::detail
