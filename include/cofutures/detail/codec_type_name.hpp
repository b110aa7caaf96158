#pragma once

#include <cstddef>
#include <string_view>

namespace cofutures::detail {

// std::source_location would do, but clang 14 does not offer it with libstdc++.
template <class T>
consteval const char* decorated_type_name() {
    return __PRETTY_FUNCTION__;
}

/// The name of `T` as the compiler spells it, without run-time cost.
template <class T>
consteval std::string_view type_name() {
    // What surrounds the name is the same for every type: learn its lengths from one that is known.
    constexpr std::string_view known = "double";
    constexpr std::string_view sample = decorated_type_name<double>();
    constexpr std::size_t before = sample.find(known);
    constexpr std::size_t after = sample.size() - before - known.size();
    const std::string_view decorated = decorated_type_name<T>();
    return decorated.substr(before, decorated.size() - before - after);
}

}  // namespace cofutures::detail
