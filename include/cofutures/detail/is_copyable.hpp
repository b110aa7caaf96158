#pragma once

#include <cofutures/is_move_only.hpp>

#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace cofutures::detail {

/// Whether a T can be copied in earnest: a vector of what cannot be copied claims that it can.
///
/// @tparam Outer  Types that it is a part of, which are being asked already: a tree has trees.
template <class T, class... Outer>
struct IsCopyable;

/// The same of what a T consists of, as far as that can be seen.
template <class T, class... Outer>
struct HasCopyableParts : std::true_type {};

template <class T, class... Outer>
requires(!std::is_same_v<typename T::value_type, T>) struct HasCopyableParts<T, Outer...>
    : IsCopyable<std::remove_cv_t<typename T::value_type>, T, Outer...> {
};
template <class First, class Second, class... Outer>
struct HasCopyableParts<std::pair<First, Second>, Outer...>
    : HasCopyableParts<std::tuple<First, Second>, std::pair<First, Second>, Outer...> {};
template <class... Parts, class... Outer>
struct HasCopyableParts<std::tuple<Parts...>, Outer...>
    : std::conjunction<IsCopyable<std::remove_cv_t<Parts>, std::tuple<Parts...>, Outer...>...> {};
template <class... Parts, class... Outer>
struct HasCopyableParts<std::variant<Parts...>, Outer...>
    : std::conjunction<IsCopyable<std::remove_cv_t<Parts>, std::variant<Parts...>, Outer...>...> {};

template <class T, class... Outer>
struct IsCopyable : std::conjunction<
                        std::bool_constant<!is_move_only<T>>,
                        std::is_copy_constructible<T>,
                        HasCopyableParts<T, Outer...>> {};
template <class T, class... Outer>
requires(
    std::is_reference_v<T> || std::is_void_v<T> || (std::is_same_v<T, Outer> || ...)
) struct IsCopyable<T, Outer...> : std::true_type {
};

template <class T>
inline constexpr bool is_copyable = IsCopyable<T>::value;

}  // namespace cofutures::detail
