#pragma once

#include <cofutures/detail/codec_type_name.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// @file
/// How one process names a piece of code to another that runs the same program.
///
/// Nothing is registered, and no name is looked up: two functions of one name in two source files
/// would be the same to a table of names. Each call that is submitted anywhere in the program has a
/// constant, its descriptor, and the descriptor's place in the program's image is what is sent.

namespace cofutures {

class Encoder;
class Decoder;

namespace detail {

/// Makes the call in the worker: decodes the arguments, calls, encodes the result.
///
/// @param function   Address of the function to call, if the descriptor is one for any function of
/// a
///                   type; else 0.
/// @throws SerializationError  if the bytes are not what the arguments need, to the last one.
/// @throws UnknownTaskError    if a function is needed and `function` is 0.
/// @throws (the task's own)    whatever the call throws.
using TaskThunk = void (*)(std::uintptr_t function, Decoder& arguments, Encoder& result);

/// What stands at the place in the image that is sent.
///
/// All of it is known when the program is linked, so it is right before any static object is made.
struct TaskDescriptor {
    /// Says that here is a descriptor at all.
    std::uint64_t magic;
    TaskThunk thunk;
    /// A hash of the callable and of the types that travel: says that it is the one that is meant.
    std::uint64_t check;
    /// What the compiler calls it, for messages.
    const char* name;
};

inline constexpr std::uint64_t task_magic = 0x6b73'6174'7463'6f01;

/// The 64-bit FNV-1a hash.
constexpr std::uint64_t hash_name(std::string_view name) noexcept {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
    }
    return hash;
}

/// A name that is part of something longer, as a string of its own.
template <std::size_t Size>
consteval std::array<char, Size + 1> terminated(std::string_view name) {
    std::array<char, Size + 1> result{};
    name.copy(result.data(), Size);
    return result;
}

template <class T>
inline constexpr auto type_name_string = terminated<type_name<T>().size()>(type_name<T>());

/// The descriptor of a call. `Call` is a type that says all about it; it has
///   `run`   the thunk,
///   `name`  what the compiler calls the callable.
template <class Call>
inline constexpr TaskDescriptor task_descriptor{
    task_magic, &Call::run, hash_name(type_name<Call>()), Call::name};

}  // namespace detail
}  // namespace cofutures
