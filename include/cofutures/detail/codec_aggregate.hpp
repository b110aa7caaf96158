#pragma once

#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>

#include <boost/pfr/core.hpp>

#include <cstddef>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

// Boost.PFR answers a type that it cannot take apart with a compile error deep inside itself. What
// stands here finds such types first, so that `Encodable` is false for them instead.

// The conversions below are never run. They have bodies because clang wants one for a type without
// linkage.

/// Stands for the initialiser of any one member.
struct AnyMember {
    template <class T>
    operator T&() const& {  // NOLINT(google-explicit-constructor)
        std::abort();
    }
    template <class T>
    operator T&&() const&& {  // NOLINT(google-explicit-constructor)
        std::abort();
    }
};

struct NoMember {};

/// Stands for the initialiser of a base class of `T`.
template <class T>
struct AnyBase {
    template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
    operator Base() const {  // NOLINT(google-explicit-constructor)
        std::abort();
    }
};

template <class T, class Initializer>
concept StartsWith = requires {
    T{Initializer{}};
};

/// A base is the first thing that braces initialise. A first member that takes whatever it is given
/// takes `NoMember` too.
template <class T>
concept HasBase = StartsWith<T, AnyBase<T>> && !StartsWith<T, NoMember>;

template <std::size_t>
using AnyMemberAt = AnyMember;

template <class T, std::size_t... Before, std::size_t... After>
consteval bool has_array_at(std::index_sequence<Before...>, std::index_sequence<After...>) {
    constexpr bool takes_braces = requires {
        T{AnyMemberAt<Before>{}..., {}};
    };
    constexpr bool is_one_member = requires {
        T{AnyMemberAt<Before>{}..., {}, AnyMemberAt<After>{}...};
    };
    return takes_braces && !is_one_member;
}

/// Braces may be left out around the elements of a C array, so they are counted as members. Put
/// `{}` in the place of one, and the whole array is taken by it: then there are initialisers too
/// many.
template <class T, std::size_t... I>
consteval bool has_array(std::index_sequence<I...>) {
    constexpr std::size_t count = sizeof...(I);
    if constexpr (requires { T{AnyMemberAt<I>{}...}; }) {
        return (
            has_array_at<T>(
                std::make_index_sequence<I>(), std::make_index_sequence<count - 1 - I>()
            ) ||
            ...
        );
    } else {
        return false;
    }
}

/// A reference and a const member look alike through PFR, and both would be decoded into a
/// temporary that ends too early or not at all: seen from a const object, every other member is
/// const, and seen from one that is not, none is.
template <class T, std::size_t... I>
consteval bool has_plain_members(std::index_sequence<I...>) {
    return (
        (!std::is_const_v<boost::pfr::tuple_element_t<I, T>> &&
         std::is_const_v<boost::pfr::tuple_element_t<I, const T>>)&&...
    );
}

/// Boost.PFR 1.81 knows how to take apart so many.
constexpr std::size_t max_members = 100;

template <class T>
consteval bool is_plain_aggregate() {
    if constexpr (std::is_empty_v<T>) {
        return true;
    } else if constexpr (std::is_polymorphic_v<T> || HasBase<T>) {
        return false;
    } else {
        constexpr std::size_t count = boost::pfr::tuple_size_v<T>;
        if constexpr (count > max_members) {  // NOLINT(bugprone-branch-clone): has no array made
            return false;
        } else if constexpr (has_array<T>(std::make_index_sequence<count>())) {
            return false;
        } else {
            return has_plain_members<T>(std::make_index_sequence<count>());
        }
    }
}

/// Structured bindings, and so PFR, take these apart by `get`, not by their members.
template <class T>
concept TupleLike = requires {
    std::tuple_size<T>::value;
};

template <class T>
concept PlainAggregate =
    std::is_class_v<T> && std::is_aggregate_v<T> && !TupleLike<T> && is_plain_aggregate<T>();

template <class T, class Indices>
struct MembersOf;

template <class T, std::size_t... I>
struct MembersOf<T, std::index_sequence<I...>> {
    using type = Types<boost::pfr::tuple_element_t<I, T>...>;
};

template <class T>
requires std::is_empty_v<T>
struct MembersOf<T, std::index_sequence<>> {
    using type = Types<>;
};

template <class T>
consteval std::size_t member_count() {
    if constexpr (std::is_empty_v<T>) {
        return 0;
    } else {
        return boost::pfr::tuple_size_v<T>;
    }
}

template <PlainAggregate T>
struct BuiltinCodec<T> {
    using parts = typename MembersOf<T, std::make_index_sequence<member_count<T>()>>::type;

    static consteval std::size_t min_size() { return sum_of_min_sizes(parts()); }

    static void encode(Encoder& encoder, const T& value) {
        if constexpr (member_count<T>() != 0) {
            boost::pfr::for_each_field(value, [&encoder](const auto& member) {
                cofutures::encode(encoder, member);
            });
        }
    }

    static T decode(Decoder& decoder) { return decode_members(decoder, parts()); }

private:
    template <class... Members>
    static consteval std::size_t sum_of_min_sizes(Types<Members...>) {
        return (detail::min_size<Members>() + ... + 0);
    }

    // Braces, as they fix the order in which the members are decoded.
    template <class... Members>
    static T decode_members([[maybe_unused]] Decoder& decoder, Types<Members...>) {
        return T{cofutures::decode<Members>(decoder)...};
    }
};

}  // namespace cofutures::detail
