#pragma once

#include <cofutures/error.hpp>
#include <cofutures/export.hpp>

#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

/// @file
/// How values cross to another process: as bytes, and back.
///
/// Without any code of the user's: arithmetic types, enums, `std::byte`, strings, the standard
/// containers, `array`, `pair`, `tuple`, `optional`, `variant`, `unique_ptr`, `shared_ptr`,
/// `complex`, `bitset`, durations and time points, filesystem paths, and plain aggregates of all
/// those. An aggregate must have no base class, at most 100 members, and no member that is a
/// reference, const, mutable, a bit-field, an anonymous union or a C array (`std::array` is fine).
/// A pointer to a polymorphic class is refused, as the object would be sliced, unless the class is
/// final. For any other type, specialise `cofutures::Codec`.
///
/// The format is fixed-width and little-endian. It serves two processes of one program and is no
/// format to store: it carries no type information and may change between versions.

namespace cofutures {

/// Appends encoded values to a vector of bytes.
///
/// When a call throws, the vector may end with part of a value; the caller truncates it.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
class COFUTURES_EXPORT Encoder {
public:
    /// @param out  Where the bytes go, after what it holds already; must outlive the encoder.
    explicit Encoder(std::vector<std::byte>& out) noexcept : out_(&out) {}

    /// Appends `bytes` as they are, without their number.
    ///
    /// @throws std::bad_alloc, std::length_error  if the vector cannot grow.
    void write(std::span<const std::byte> bytes) {
        out_->insert(out_->end(), bytes.begin(), bytes.end());
    }

    /// Appends a number of elements or bytes, to be read by `Decoder::read_size`.
    void write_size(std::size_t size);

    /// How many bytes the vector holds by now.
    [[nodiscard]] std::size_t size() const noexcept { return out_->size(); }

private:
    friend detail::NestingGuard<Encoder>;

    std::vector<std::byte>* out_;
    unsigned depth_ = 0;
};

/// Reads encoded values from bytes that need not be trusted.
///
/// Every length is checked against the bytes that are left before it is used.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
class COFUTURES_EXPORT Decoder {
public:
    /// @param bytes  What is read; must outlive the decoder, and the views that `read` gives.
    explicit Decoder(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

    /// Takes the next `size` bytes.
    ///
    /// @param what  What is being decoded, for the message of the error.
    /// @throws SerializationError  if fewer are left.
    std::span<const std::byte> read(std::size_t size, std::string_view what = "bytes") {
        if (size > rest_.size()) {
            detail::throw_truncated(what, size, rest_.size());
        }
        const auto bytes = rest_.first(size);
        rest_ = rest_.subspan(size);
        return bytes;
    }

    /// Takes a number of elements written by `Encoder::write_size`.
    ///
    /// @param element_bytes  The fewest bytes that one element takes. With zero the number may
    ///                       exceed the bytes left by 65536, so that a few bytes cannot ask for
    ///                       endless elements.
    /// @param what           What is being decoded, for the message of the error.
    /// @throws SerializationError  if the bytes left cannot hold so many elements.
    std::size_t read_size(std::size_t element_bytes, std::string_view what = "bytes");

    /// How many bytes are left.
    [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }

    /// Checks that nothing is left.
    ///
    /// @throws SerializationError  if bytes are left, for then the two sides disagree on the type.
    void expect_end() const;

private:
    friend detail::NestingGuard<Decoder>;

    std::span<const std::byte> rest_;
    unsigned depth_ = 0;
};

/// Customisation point: how a `T` becomes bytes. Declared for no type; specialise it for yours.
///
///     template <>
///     struct cofutures::Codec<app::Celsius> {
///         static void encode(Encoder& encoder, const app::Celsius& value) {
///             cofutures::encode(encoder, value.degrees());
///         }
///         static app::Celsius decode(Decoder& decoder) {
///             return app::Celsius(cofutures::decode<double>(decoder));
///         }
///     };
///
/// A specialisation takes precedence over what the library would do with the type by itself. To
/// refuse a value or bytes, throw `SerializationError`; anything else they throw passes through.
template <class T>
struct Codec;

/// Whether `T` can cross to another process: it has a codec, and so has everything inside it.
template <class T>
concept Encodable = std::is_object_v<T> && detail::culprit<std::remove_cv_t<T>>
.empty;

/// Appends `value` to the encoder's bytes.
///
/// A `shared_ptr` is encoded as what it points to, so two owners of one object arrive as owners of
/// two objects.
///
/// @tparam T  Any `Encodable` type; another does not compile, and the message names the type that
///            has no codec, if it is deep inside `T` too.
/// @throws SerializationError  if the value has no encoding: a valueless variant, more than 256
///                             levels of nesting (a cycle of shared pointers has endless ones),
///                             more than 65536 elements that take no bytes.
/// @throws (the codec's own)   whatever a `Codec` specialisation throws.
template <class T>
void encode(Encoder& encoder, const T& value);

/// Reads a `T` that `encode` wrote.
///
/// @throws SerializationError  if the bytes are none of a `T`; the message names the type that
///                             they do not fit.
/// @throws (the codec's own)   whatever a `Codec` specialisation throws.
template <class T>
[[nodiscard]] T decode(Decoder& decoder);

}  // namespace cofutures

// The codecs of standard types and aggregates; they need what stands above.
#include <cofutures/detail/codec_aggregate.hpp>
#include <cofutures/detail/codec_container.hpp>
#include <cofutures/detail/codec_scalar.hpp>
#include <cofutures/detail/codec_string.hpp>
#include <cofutures/detail/codec_time.hpp>
#include <cofutures/detail/codec_wrapper.hpp>

namespace cofutures {

template <class T>
void encode(Encoder& encoder, const T& value) {
    if constexpr (!Encodable<T>) {
        detail::no_codec_for(detail::culprit<T>);
    } else if constexpr (detail::HasCustomCodec<T>) {
        const detail::NestingGuard guard(encoder, detail::type_name<T>());
        Codec<T>::encode(encoder, value);
    } else if constexpr (detail::is_leaf<T>) {
        detail::BuiltinCodec<T>::encode(encoder, value);
    } else {
        const detail::NestingGuard guard(encoder, detail::type_name<T>());
        detail::BuiltinCodec<T>::encode(encoder, value);
    }
}

template <class T>
T decode(Decoder& decoder) {
    if constexpr (!Encodable<T>) {
        detail::no_codec_for(detail::culprit<T>);
    } else if constexpr (detail::HasCustomCodec<T>) {
        const detail::NestingGuard guard(decoder, detail::type_name<T>());
        return Codec<T>::decode(decoder);
    } else if constexpr (detail::is_leaf<T>) {
        return detail::BuiltinCodec<T>::decode(decoder);
    } else {
        const detail::NestingGuard guard(decoder, detail::type_name<T>());
        return detail::BuiltinCodec<T>::decode(decoder);
    }
}

}  // namespace cofutures
