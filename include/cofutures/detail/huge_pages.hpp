#pragma once

#include <cofutures/export.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

/// @file
/// Large containers whose memory is new. The first write to each small page of it traps into the
/// system, which costs several times what copying the page does, and most on virtual machines.

namespace cofutures::detail {

/// From how many bytes on it is worth while: some huge pages lie in so many, wherever they begin.
inline constexpr std::size_t smallest_in_huge_pages = std::size_t{4} << 20;

/// Asks for huge pages behind a range that has not been written to yet, as far as whole ones lie
/// in it. The system may have none, or be set not to give them: then nothing changes.
COFUTURES_EXPORT void prefer_huge_pages(const void* first, std::size_t bytes) noexcept;

/// Whether a container's elements lie in one piece of ordinary memory and are copied as bytes.
template <class Container>
inline constexpr bool is_flat = false;
template <class T>
inline constexpr bool is_flat<std::vector<T>> =
    std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool>;
template <class Char, class Traits>
inline constexpr bool is_flat<std::basic_string<Char, Traits>> = true;

/// Makes a container of `count` elements that random access iterators give.
template <class Container, class Iterator>
Container make_flat(Iterator first, std::size_t count) {
    const auto last = first + static_cast<std::ptrdiff_t>(count);
    const std::size_t bytes = count * sizeof(typename Container::value_type);
    if constexpr (is_flat<Container>) {
        if (bytes >= smallest_in_huge_pages) {
            Container values;
            values.reserve(count);
            prefer_huge_pages(values.data(), bytes);
            values.insert(values.end(), first, last);
            return values;
        }
    }
    return Container(first, last);
}

/// An argument to be stored. A large flat one that has to be copied is copied into huge pages.
template <class Container>
class FlatCopy {
public:
    explicit FlatCopy(const Container& source) noexcept : source_(source) {}
    // NOLINTNEXTLINE: stands for the copy
    operator Container() const { return make_flat<Container>(source_.begin(), source_.size()); }

private:
    const Container& source_;
};

template <class Arg>
decltype(auto) to_store(std::remove_reference_t<Arg>& argument) noexcept {
    using Value = std::remove_cvref_t<Arg>;
    if constexpr (std::is_lvalue_reference_v<Arg> && is_flat<Value>) {
        return FlatCopy<Value>(argument);
    } else {
        return static_cast<Arg&&>(argument);
    }
}

}  // namespace cofutures::detail
