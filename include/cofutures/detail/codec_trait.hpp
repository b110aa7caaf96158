#pragma once

#include <cofutures/export.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace cofutures {

class Encoder;
class Decoder;
template <class T>
struct Codec;

namespace detail {

/// How the library itself encodes a `T`. Specialisations have
///   `parts`       the types inside, as `Types<...>`; none for a leaf,
///   `min_size()`  the fewest bytes that an encoded value takes,
///   `encode` and `decode` as in `Codec`.
/// It is apart from `Codec` so that a user's specialisation never competes with it.
template <class T>
struct BuiltinCodec;

template <class... Ts>
struct Types {
    static constexpr bool empty = sizeof...(Ts) == 0;
};

template <class T>
concept HasCustomCodec = requires {
    sizeof(Codec<T>);
};

template <class T>
concept HasBuiltinCodec = requires {
    sizeof(BuiltinCodec<T>);
};

template <class T>
inline constexpr bool is_leaf = false;

template <HasBuiltinCodec T>
requires(!HasCustomCodec<T>) inline constexpr bool is_leaf<T> = BuiltinCodec<T>::parts::empty;

/// The fewest bytes that an encoded `T` takes; nothing is known of a custom codec.
template <class T>
consteval std::size_t min_size() {
    if constexpr (HasCustomCodec<T>) {
        return 0;
    } else {
        return BuiltinCodec<T>::min_size();
    }
}

template <class T, class... Outer>
consteval auto find_culprit();

template <class... Outer>
consteval auto find_culprit_in(Types<>) {
    return Types<>{};
}

template <class... Outer, class First, class... Rest>
consteval auto find_culprit_in(Types<First, Rest...>) {
    constexpr auto found = find_culprit<First, Outer...>();
    if constexpr (found.empty) {
        return find_culprit_in<Outer...>(Types<Rest...>{});
    } else {
        return found;
    }
}

/// Gives the first type inside `T`, or `T` itself, that has no codec, as `Types<X>`; `Types<>` if
/// all have one. `Outer` are the types that `T` is inside of: a recursive type (a tree) is fine if
/// all else in it is.
template <class T, class... Outer>
consteval auto find_culprit() {
    if constexpr ((std::is_same_v<T, Outer> || ...) || HasCustomCodec<T>) {
        return Types<>{};
    } else if constexpr (HasBuiltinCodec<T>) {
        return find_culprit_in<Outer..., T>(typename BuiltinCodec<T>::parts{});
    } else {
        return Types<T>{};
    }
}

template <class T>
constexpr auto culprit = find_culprit<T>();

template <class T>
constexpr bool is_encodable = culprit<T>.empty;

/// The compiler names `Type` when it reports the assertion.
template <class Type>
consteval void no_codec_for(Types<Type>) {
    static_assert(
        sizeof(Types<Type>) == 0,
        "this type cannot cross to another process: make it a plain aggregate of types that can, "
        "include <cofutures/boost_serialization.hpp> if it has a serialize function, or "
        "specialise cofutures::Codec for it; pointers, references and views never can"
    );
}

[[noreturn]] COFUTURES_EXPORT void
throw_truncated(std::string_view type, std::size_t needed, std::size_t left);
[[noreturn]] COFUTURES_EXPORT void throw_undecodable(std::string_view type, const char* reason);
[[noreturn]] COFUTURES_EXPORT void throw_unencodable(std::string_view type, const char* reason);
[[noreturn]] COFUTURES_EXPORT void throw_too_deep(std::string_view type);

/// Nested values are encoded and decoded recursively: this bounds the stack.
constexpr unsigned max_nesting = 256;

/// So many elements may take no bytes at all.
constexpr std::size_t max_free_elements = 65536;

/// Counts one level of nesting while it lives.
template <class Coder>
class NestingGuard {
public:
    NestingGuard(Coder& coder, std::string_view type) : coder_(coder) {
        if (coder_.depth_ == max_nesting) {
            throw_too_deep(type);
        }
        ++coder_.depth_;
    }
    NestingGuard(const NestingGuard&) = delete;
    NestingGuard& operator=(const NestingGuard&) = delete;
    ~NestingGuard() { --coder_.depth_; }

private:
    Coder& coder_;
};

}  // namespace detail
}  // namespace cofutures
