#pragma once

#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace cofutures::detail {

template <class First, class Second>
struct BuiltinCodec<std::pair<First, Second>> {
    using Pair = std::pair<First, Second>;
    using A = std::remove_const_t<First>;
    using B = std::remove_const_t<Second>;
    using parts = Types<A, B>;

    static consteval std::size_t min_size() {
        return detail::min_size<A>() + detail::min_size<B>();
    }

    static void encode(Encoder& encoder, const Pair& value) {
        cofutures::encode(encoder, value.first);
        cofutures::encode(encoder, value.second);
    }

    // Braces, as they fix the order in which the parts are decoded.
    static Pair decode(Decoder& decoder) {
        return Pair{cofutures::decode<A>(decoder), cofutures::decode<B>(decoder)};
    }
};

template <class... Ts>
struct BuiltinCodec<std::tuple<Ts...>> {
    using Tuple = std::tuple<Ts...>;
    using parts = Types<std::remove_const_t<Ts>...>;

    static consteval std::size_t min_size() {
        return (detail::min_size<std::remove_const_t<Ts>>() + ... + 0);
    }

    static void encode(Encoder& encoder, const Tuple& value) {
        std::apply([&](const Ts&... parts) { (cofutures::encode(encoder, parts), ...); }, value);
    }

    static Tuple decode([[maybe_unused]] Decoder& decoder) {
        return Tuple{cofutures::decode<std::remove_const_t<Ts>>(decoder)...};
    }
};

/// A byte that says whether there is a value, then the value.
template <class Holder, class T>
struct NullableCodec {
    using Value = std::remove_const_t<T>;
    using parts = Types<Value>;

    static consteval std::size_t min_size() { return 1; }

    static void encode(Encoder& encoder, const Holder& holder) {
        const bool full = static_cast<bool>(holder);
        cofutures::encode(encoder, full);
        if (full) {
            cofutures::encode(encoder, *holder);
        }
    }

    static Holder decode(Decoder& decoder) {
        return cofutures::decode<bool>(decoder) ? make(decoder) : Holder();
    }

private:
    static Holder make(Decoder& decoder) {
        if constexpr (requires { typename Holder::element_type; }) {
            return Holder(new T(cofutures::decode<Value>(decoder)));
        } else {
            return Holder(cofutures::decode<Value>(decoder));
        }
    }
};

template <class T>
struct BuiltinCodec<std::optional<T>> : NullableCodec<std::optional<T>, T> {};

/// What a pointer may point to. A base class is refused: the object behind it would be sliced.
template <class T>
concept Pointee = std::is_object_v<T> && !std::is_array_v<T> && !std::is_volatile_v<T> &&
                  (!std::is_polymorphic_v<T> || std::is_final_v<T>);

// Completeness is asked only when the codec is used: a node may own nodes of its own type.
template <class T>
struct BuiltinCodec<std::unique_ptr<T>> : NullableCodec<std::unique_ptr<T>, T> {};

template <class T>
struct BuiltinCodec<std::shared_ptr<T>> : NullableCodec<std::shared_ptr<T>, T> {};

template <class T>
requires(!Pointee<T>) struct BuiltinCodec<std::unique_ptr<T>>;

template <class T>
requires(!Pointee<T>) struct BuiltinCodec<std::shared_ptr<T>>;

template <class... Ts>
struct BuiltinCodec<std::variant<Ts...>> {
    using Variant = std::variant<Ts...>;
    using Index = std::uint32_t;
    using parts = Types<std::remove_const_t<Ts>...>;

    static consteval std::size_t min_size() {
        return sizeof(Index) + std::min({detail::min_size<std::remove_const_t<Ts>>()...});
    }

    static void encode(Encoder& encoder, const Variant& value) {
        if (value.valueless_by_exception()) {
            throw_unencodable(type_name<Variant>(), "it is valueless");
        }
        cofutures::encode(encoder, static_cast<Index>(value.index()));
        std::visit([&](const auto& held) { cofutures::encode(encoder, held); }, value);
    }

    static Variant decode(Decoder& decoder) {
        const auto index = cofutures::decode<Index>(decoder);
        if (index >= sizeof...(Ts)) {
            throw_undecodable(type_name<Variant>(), "no such alternative");
        }
        return decode_alternative(decoder, index, std::index_sequence_for<Ts...>());
    }

private:
    template <std::size_t I>
    static Variant make(Decoder& decoder) {
        using T = std::remove_const_t<std::variant_alternative_t<I, Variant>>;
        return Variant(std::in_place_index<I>, cofutures::decode<T>(decoder));
    }

    template <std::size_t... I>
    static Variant decode_alternative(Decoder& decoder, Index index, std::index_sequence<I...>) {
        static constexpr std::array makers{&make<I>...};
        return makers[index](decoder);
    }
};

/// `std::complex`, recognised by its shape, as its header is dear to include.
template <class T, class Part>
concept Complex = std::floating_point<Part> && std::constructible_from<T, Part, Part> &&
                      sizeof(T) == 2 * sizeof(Part) &&
                  requires(const T& value) {
    { value.real() } -> std::same_as<Part>;
    { value.imag() } -> std::same_as<Part>;
};

template <template <class> class T, class Part>
requires Complex<T<Part>, Part>
struct BuiltinCodec<T<Part>> {
    using parts = Types<Part>;

    static consteval std::size_t min_size() { return 2 * detail::min_size<Part>(); }

    static void encode(Encoder& encoder, const T<Part>& value) {
        cofutures::encode(encoder, value.real());
        cofutures::encode(encoder, value.imag());
    }

    static T<Part> decode(Decoder& decoder) {
        return T<Part>{cofutures::decode<Part>(decoder), cofutures::decode<Part>(decoder)};
    }
};

}  // namespace cofutures::detail
