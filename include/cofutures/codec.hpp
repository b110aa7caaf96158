#pragma once

#include <cofutures/error.hpp>

#include <cofutures/detail/codec_aggregate.hpp>
#include <cofutures/detail/codec_container.hpp>
#include <cofutures/detail/codec_scalar.hpp>
#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_string.hpp>
#include <cofutures/detail/codec_time.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>
#include <cofutures/detail/codec_wrapper.hpp>

#include <type_traits>

/// @file
/// How values cross to another process: as bytes, and back.
///
/// Without any code of the user's: arithmetic types, enums, `std::byte`, strings, the standard
/// containers, `array`, `pair`, `tuple`, `optional`, `variant`, `unique_ptr`, `shared_ptr`,
/// `complex`, `bitset`, durations, time points and dates (`year_month_day`, its parts, `weekday`,
/// `hh_mm_ss`), filesystem paths, and plain aggregates of all those. An aggregate must have no base
/// class, at most 100 members, and no member that is a reference, const, mutable, a bit-field, an
/// anonymous union or a C array (`std::array` is fine). A pointer to a polymorphic class is
/// refused, as the object would be sliced, unless the class is final. For any other type,
/// specialise `cofutures::Codec`.
///
/// The format is fixed-width and little-endian. It serves two processes of one program and is no
/// format to store: it carries no type information and may change between versions.

namespace cofutures {

/// Customisation point: how a `T` becomes bytes. Declared for no type; specialise it for yours.
///
/// @code{.cpp} run
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
///
/// namespace app {
/// class Celsius {
/// public:
///     explicit Celsius(double degrees) : degrees_(degrees) {}
///     double degrees() const { return degrees_; }
///
/// private:
///     double degrees_;
/// };
/// }  // namespace app
///
/// template <>
/// struct cofutures::Codec<app::Celsius> {
///     static void encode(Encoder& encoder, const app::Celsius& value) {
///         cofutures::encode(encoder, value.degrees());
///     }
///     static app::Celsius decode(Decoder& decoder) {
///         return app::Celsius(cofutures::decode<double>(decoder));
///     }
/// };
///
/// app::Celsius warmer(const app::Celsius& by) { return app::Celsius(by.degrees() + 1); }
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool;
///     assert(pool.submit(warmer, app::Celsius(20)).result().degrees() == 21);
/// }
/// @endcode
///
/// A specialisation takes precedence over what the library would do with the type by itself. To
/// refuse a value or bytes, throw `SerializationError`; anything else they throw passes through.
template <class T>
struct Codec;

/// Whether `T` can cross to another process: it has a codec, and so has everything inside it.
template <class T>
concept Encodable = std::is_object_v<T> && detail::is_encodable<std::remove_cv_t<T>>;

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

/// Reads a `T` that `encode` wrote.
///
/// @throws SerializationError  if the bytes are none of a `T`; the message names the type that
///                             they do not fit.
/// @throws (the codec's own)   whatever a `Codec` specialisation throws.
template <class T>
[[nodiscard]] T decode(Decoder& decoder) {
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
