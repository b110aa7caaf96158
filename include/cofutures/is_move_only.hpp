#pragma once

namespace cofutures {

/// Says of a type that it can only be moved, where the compiler cannot see it.
///
/// The standard containers claim to be copyable whatever their elements are, and so does a struct
/// that has one; copying it then does not compile. A Future copies its value only if others can
/// still read it, so it has to know. It looks through containers, pairs, tuples, variants and
/// optionals by itself; of a struct it has to be told:
///
/// @code{.cpp}
/// struct Batch {
///     std::vector<std::unique_ptr<Image>> images;
/// };
/// template <>
/// inline constexpr bool cofutures::is_move_only<Batch> = true;
/// @endcode
///
/// @python  none.
template <class T>
inline constexpr bool is_move_only = false;

}  // namespace cofutures
