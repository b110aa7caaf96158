#pragma once

#include <cofutures/codec.hpp>

#include <cofutures/detail/exception_type.hpp>

#include <type_traits>

namespace cofutures {

/// Has exceptions of type `E` arrive as themselves from worker processes, instead of as
/// RemoteError.
///
/// @code{.cpp} run
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
/// #include <stdexcept>
///
/// struct NotFound : std::runtime_error {
///     using std::runtime_error::runtime_error;
/// };
///
/// int find(int key) {
///     throw NotFound("no key " + std::to_string(key));
/// }
///
/// int main(int argc, char** argv) {
///     cofutures::register_exception<NotFound>();
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool;
///     try {
///         pool.submit(find, 7).result();
///         assert(false);
///     } catch (const NotFound& error) {
///         assert(error.what() == std::string("no key 7"));
///     }
/// }
/// @endcode
///
/// It has to be done in the worker as well, before that begins to serve: call it before
/// freeze_support(), or while static objects are initialized. What is thrown must be exactly an
/// `E`; a class derived from it is another type. What is nested in it arrives too.
///
/// An exception that has a `Codec`, or needs none as it is a plain aggregate, travels in that
/// encoding, at most 64 KiB of it. One without is made anew of its text, and has to have a
/// constructor that takes it as a string, and no members beside it that would be lost; if what()
/// would then say something else, it arrives as RemoteError. So it does if encoding or decoding it
/// fails.
///
/// @tparam E  A copyable type with a `Codec`; or one derived from `std::exception` and
///            constructible from a `const std::string&`, and no larger than the
///            `std::runtime_error` or `std::logic_error` that it is.
/// @throws std::invalid_argument  if another type of the same name is registered, as two may be
///                                named alike in unnamed namespaces.
/// @thread_safety  Safe.
/// @complexity     Linear in the number of types registered, as is each exception that arrives.
/// @python         an exception that can be pickled. Difference: each type has to be named.
template <class E>
void register_exception() {
    static_assert(
        std::is_object_v<E> && !std::is_const_v<E> && std::is_copy_constructible_v<E>,
        "cofutures: an exception's type is an object type that can be copied"
    );
    static_assert(
        Encodable<E> || detail::MadeOfText<E>,
        "cofutures: exceptions of this type cannot be sent: specialise cofutures::Codec for it; "
        "one that holds a text only needs just a constructor that takes it as a std::string"
    );
    detail::add_exception_type(detail::exception_type<E>);
}

}  // namespace cofutures
