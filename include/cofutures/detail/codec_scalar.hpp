#pragma once

#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>

namespace cofutures::detail {

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <class T>
consteval bool is_bool() {
    if constexpr (std::is_enum_v<T>) {
        return std::is_same_v<std::underlying_type_t<T>, bool>;
    } else {
        return std::is_same_v<T, bool>;
    }
}

/// Bytes that carry the value: the 80-bit extended format is padded with bytes that hold garbage.
template <Scalar T>
consteval std::size_t scalar_size() {
    if constexpr (std::is_same_v<T, long double>) {
        return std::numeric_limits<T>::digits == 64 ? 10 : sizeof(T);
    } else {
        return sizeof(T);
    }
}

/// Whether an array of `T` is encoded by copying its memory.
template <class T>
inline constexpr bool is_bulk = false;

template <Scalar T>
inline constexpr bool is_bulk<T> = !is_bool<T>() && scalar_size<T>() == sizeof(T) &&
                                   (sizeof(T) == 1 || std::endian::native == std::endian::little);

template <Scalar T>
struct BuiltinCodec<T> {
    using parts = Types<>;

    static consteval std::size_t min_size() { return scalar_size<T>(); }

    static void encode(Encoder& encoder, T value) {
        std::array<std::byte, scalar_size<T>()> bytes;
        std::memcpy(bytes.data(), &value, bytes.size());
        to_little_endian(bytes);
        encoder.write(bytes);
    }

    static T decode(Decoder& decoder) {
        std::array<std::byte, scalar_size<T>()> bytes;
        std::ranges::copy(decoder.read(bytes.size(), type_name<T>()), bytes.begin());
        to_little_endian(bytes);
        if constexpr (is_bool<T>()) {
            if (bytes[0] > std::byte{1}) {
                throw_undecodable(type_name<T>(), "neither 0 nor 1");
            }
        }
        T value{};
        std::memcpy(&value, bytes.data(), bytes.size());
        return value;
    }

private:
    static void to_little_endian(std::array<std::byte, scalar_size<T>()>& bytes) {
        if constexpr (std::endian::native == std::endian::big) {
            std::ranges::reverse(bytes);
        }
    }
};

template <>
struct BuiltinCodec<std::nullptr_t> {
    using parts = Types<>;

    static consteval std::size_t min_size() { return 0; }
    static void encode(Encoder&, std::nullptr_t) {}
    static std::nullptr_t decode(Decoder&) { return nullptr; }
};

}  // namespace cofutures::detail
