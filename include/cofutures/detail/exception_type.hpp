#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/export.hpp>

#include <cofutures/detail/codec_stream.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// How exceptions travel of one type that the program registered.
struct ExceptionType {
    const std::type_info* type;
    /// Appends what the exception holds; false if it is of another type.
    bool (*encode)(const std::exception_ptr& error, std::vector<std::byte>& bytes);
    /// Makes one of the bytes and the text, with another one nested in it unless that is null; null
    /// if it would not be the same.
    std::exception_ptr (*decode
    )(std::span<const std::byte> bytes, const std::string& what, const std::exception_ptr& nested);
    const ExceptionType* next = nullptr;  ///< the one that was registered before
};

/// From now on exceptions of that type arrive as themselves. Thread-safe; does nothing the second
/// time.
///
/// @throws std::invalid_argument  if another type of the same name is there.
COFUTURES_EXPORT void add_exception_type(ExceptionType& type);

/// Whether an exception that is a `Base`, which holds a text, holds more.
template <class E, class Base>
inline constexpr bool holds_more_than = std::derived_from<E, Base> && sizeof(E) > sizeof(Base);

/// Whether its text is all that an exception holds, as far as can be seen.
template <class E>
concept MadeOfText =
    std::derived_from<E, std::exception> && std::constructible_from<E, const std::string&> &&
    !holds_more_than<E, std::runtime_error> &&
    !holds_more_than<E, std::logic_error>;

/// The pointer to what is thrown.
///
/// @param nested  Null if nothing is.
template <class E>
std::exception_ptr make_nesting(E exception, const std::exception_ptr& nested) {
    if (!nested) {
        return std::make_exception_ptr(std::move(exception));
    }
    try {
        try {
            std::rethrow_exception(nested);
        } catch (...) {
            std::throw_with_nested(std::move(exception));
        }
    } catch (...) {
        return std::current_exception();
    }
}

template <class E>
bool encode_exception(const std::exception_ptr& error, std::vector<std::byte>& bytes) {
    try {
        std::rethrow_exception(error);
    } catch (const E& exception) {
        if constexpr (Encodable<E>) {
            Encoder encoder(bytes);
            cofutures::encode(encoder, exception);
        }
        return true;
    } catch (...) {
        return false;
    }
}

template <class E>
std::exception_ptr decode_exception(
    std::span<const std::byte> bytes, const std::string& what, const std::exception_ptr& nested
) {
    if constexpr (Encodable<E>) {
        Decoder decoder(bytes);
        E exception = cofutures::decode<E>(decoder);
        decoder.expect_end();
        return make_nesting<E>(std::move(exception), nested);
    } else {
        E exception(what);
        const char* const text = exception.what();
        return text != nullptr && what == text ? make_nesting<E>(std::move(exception), nested)
                                               : nullptr;
    }
}

template <class E>
inline constinit ExceptionType exception_type{
    .type = &typeid(E), .encode = &encode_exception<E>, .decode = &decode_exception<E>};

}  // namespace cofutures::detail
