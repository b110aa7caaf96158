#pragma once

#include <cofutures/detail/codec_container.hpp>
#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>

#include <bitset>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

template <class Char, class Traits, class Allocator>
struct BuiltinCodec<std::basic_string<Char, Traits, Allocator>>
    : SequenceCodec<std::basic_string<Char, Traits, Allocator>> {};

template <class Char, class Traits, class Allocator>
requires is_bulk<Char> &&
    (!HasCustomCodec<Char>)struct BuiltinCodec<std::basic_string<Char, Traits, Allocator>>
    : BulkCodec<std::basic_string<Char, Traits, Allocator>> {
};

/// `std::filesystem::path`, recognised by its shape, as its header is dear to include. Only the
/// class that declares `lexically_normal` itself gives its own type from it, not one derived.
template <class T>
concept FilesystemPath = std::is_class_v<T> && requires(const T& path) {
    { path.native() } -> std::same_as<const typename T::string_type&>;
    { path.lexically_normal() } -> std::same_as<T>;
    T(std::declval<typename T::string_type>());
};

template <FilesystemPath Path>
struct BuiltinCodec<Path> {
    using String = typename Path::string_type;
    using parts = Types<String>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const Path& value) {
        cofutures::encode(encoder, value.native());
    }
    static Path decode(Decoder& decoder) { return Path(cofutures::decode<String>(decoder)); }
};

template <std::size_t Bits>
struct BuiltinCodec<std::bitset<Bits>> {
    using parts = Types<>;

    static consteval std::size_t min_size() { return bytes_for_bits(Bits); }

    static void encode(Encoder& encoder, const std::bitset<Bits>& value) {
        encode_bits(encoder, Bits, [&](std::size_t i) { return value[i]; });
    }

    static std::bitset<Bits> decode(Decoder& decoder) {
        std::bitset<Bits> value;
        decode_bits(decoder, Bits, type_name<std::bitset<Bits>>(), [&](std::size_t i, bool bit) {
            value[i] = bit;
        });
        return value;
    }
};

}  // namespace cofutures::detail
