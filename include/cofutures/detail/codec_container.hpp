#pragma once

#include <cofutures/detail/codec_scalar.hpp>
#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>
#include <cofutures/detail/huge_pages.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// What `Encoder::write_size` writes.
constexpr std::size_t size_bytes = sizeof(std::uint64_t);

constexpr std::size_t bytes_for_bits(std::size_t bits) {
    return bits / 8 + (bits % 8 != 0 ? 1 : 0);
}

/// Eight bits to a byte, lowest first.
template <class Get>
void encode_bits(Encoder& encoder, std::size_t bits, Get get) {
    for (std::size_t first = 0; first < bits; first += 8) {
        unsigned packed = 0;
        for (std::size_t i = first; i < std::min(first + 8, bits); ++i) {
            packed |= (get(i) ? 1U : 0U) << (i - first);
        }
        const auto byte = static_cast<std::byte>(packed);
        encoder.write({&byte, 1});
    }
}

template <class Set>
void decode_bits(Decoder& decoder, std::size_t bits, std::string_view type, Set set) {
    const auto bytes = decoder.read(bytes_for_bits(bits), type);
    const auto bit = [&](std::size_t i) {
        return (bytes[i / 8] >> (i % 8) & std::byte{1}) != std::byte{};
    };
    for (std::size_t i = 0; i < bits; ++i) {
        set(i, bit(i));
    }
    for (std::size_t i = bits; i < bytes.size() * 8; ++i) {
        if (bit(i)) {
            throw_undecodable(type, "a bit beyond the last is set");
        }
    }
}

/// Reads elements of type T out of bytes that need not be aligned for them.
template <class T>
class UnalignedIterator {
public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = T;
    using iterator_category = std::random_access_iterator_tag;

    UnalignedIterator() = default;
    explicit UnalignedIterator(const std::byte* at) noexcept : at_(at) {}

    T operator*() const noexcept {
        std::array<std::byte, sizeof(T)> bytes;
        std::copy_n(at_, sizeof(T), bytes.begin());
        return std::bit_cast<T>(bytes);
    }
    UnalignedIterator& operator++() noexcept { return *this += 1; }
    UnalignedIterator operator++(int) noexcept {
        const UnalignedIterator old(*this);
        ++*this;
        return old;
    }
    UnalignedIterator& operator--() noexcept { return *this += -1; }
    UnalignedIterator& operator+=(difference_type count) noexcept {
        at_ += count * static_cast<difference_type>(sizeof(T));
        return *this;
    }
    friend UnalignedIterator operator+(UnalignedIterator at, difference_type count) noexcept {
        return at += count;
    }
    friend difference_type operator-(UnalignedIterator a, UnalignedIterator b) noexcept {
        return (a.at_ - b.at_) / static_cast<difference_type>(sizeof(T));
    }
    friend bool operator==(UnalignedIterator, UnalignedIterator) = default;

private:
    const std::byte* at_ = nullptr;
};

/// A contiguous container of bulk scalars: their number and their memory.
template <class Container>
struct BulkCodec {
    using T = typename Container::value_type;
    using parts = Types<>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const Container& values) {
        encoder.write_elements(values.size(), std::as_bytes(std::span(values)));
    }

    /// Makes the elements where they are to be: filling the memory first would cost as much again.
    static Container decode(Decoder& decoder) {
        const auto bytes = decoder.read_elements(sizeof(T), type_name<Container>());
        const std::size_t count = bytes.size() / sizeof(T);
        const std::byte* const first = bytes.data();
        if constexpr (std::is_same_v<T, std::byte>) {
            return make_flat<Container>(first, count);
        } else {
            if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0) {  // NOLINT: its address
                // The bytes are those of such elements, copied.
                return make_flat<Container>(reinterpret_cast<const T*>(first), count);
            }
            return make_flat<Container>(UnalignedIterator<T>(first), count);
        }
    }
};

template <class Container>
void encode_elements(Encoder& encoder, const Container& values, std::size_t count) {
    using T = typename Container::value_type;
    encoder.write_size(count);
    const std::size_t start = encoder.size();
    for (const auto& value : values) {
        cofutures::encode(encoder, value);
    }
    if (min_size<T>() == 0 && count > max_free_elements &&
        count - max_free_elements > encoder.size() - start) {
        throw_unencodable(type_name<Container>(), "too many elements that take no bytes");
    }
}

/// How many elements to reserve room for. A hostile number cannot ask for more memory than the
/// message itself takes; if elements are larger in memory than encoded, the container grows.
template <class T>
std::size_t room_for(const Decoder& decoder, std::size_t count) {
    return std::min(count, decoder.remaining() / sizeof(T));
}

template <class Container>
struct SequenceCodec {
    using T = typename Container::value_type;
    using parts = Types<T>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const Container& values) {
        encode_elements(encoder, values, values.size());
    }

    static Container decode(Decoder& decoder) {
        const auto count = decoder.read_size(detail::min_size<T>(), type_name<Container>());
        Container values;
        if constexpr (requires { values.reserve(count); }) {
            values.reserve(room_for<T>(decoder, count));
        }
        for (std::size_t i = 0; i < count; ++i) {
            values.push_back(cofutures::decode<T>(decoder));
        }
        return values;
    }
};

/// Sets and maps. Elements arrive in the order of the sender's container, so an ordered one is
/// built in linear time with the end as hint.
template <class Container>
struct AssociativeCodec {
    using Key = typename Container::key_type;
    using T = typename Container::value_type;
    static constexpr bool is_map = requires { typename Container::mapped_type; };

    template <class C>
    struct PartsOf {
        using type = Types<Key>;
    };
    template <class C>
    requires is_map struct PartsOf<C> {
        using type = Types<Key, typename C::mapped_type>;
    };
    using parts = typename PartsOf<Container>::type;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const Container& values) {
        encode_elements(encoder, values, values.size());
    }

    static Container decode(Decoder& decoder) {
        const auto count = decoder.read_size(detail::min_size<T>(), type_name<Container>());
        Container values;
        if constexpr (requires { values.reserve(count); }) {
            values.reserve(room_for<T>(decoder, count));
        }
        for (std::size_t i = 0; i < count; ++i) {
            insert(decoder, values);
            if (values.size() != i + 1) {
                throw_undecodable(type_name<Container>(), "a key comes twice");
            }
        }
        return values;
    }

private:
    static void insert(Decoder& decoder, Container& values) {
        auto key = cofutures::decode<Key>(decoder);
        if constexpr (is_map) {
            values.emplace_hint(
                values.end(),
                std::move(key),
                cofutures::decode<typename Container::mapped_type>(decoder)
            );
        } else {
            values.emplace_hint(values.end(), std::move(key));
        }
    }
};

template <class T, class A>
struct BuiltinCodec<std::vector<T, A>> : SequenceCodec<std::vector<T, A>> {};

template <class T, class A>
requires is_bulk<T> &&
    (!HasCustomCodec<T>)struct BuiltinCodec<std::vector<T, A>> : BulkCodec<std::vector<T, A>> {
};

template <class A>
struct BuiltinCodec<std::vector<bool, A>> {
    using Bits = std::vector<bool, A>;
    using parts = Types<>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const Bits& values) {
        encoder.write_size(values.size());
        encode_bits(encoder, values.size(), [&](std::size_t i) { return values[i]; });
    }

    static Bits decode(Decoder& decoder) {
        const std::size_t count = decode_count(decoder);
        Bits values(count);
        decode_bits(decoder, count, type_name<Bits>(), [&](std::size_t i, bool bit) {
            values[i] = bit;
        });
        return values;
    }

private:
    /// The number is of bits, while `read_size` knows only bytes.
    static std::size_t decode_count(Decoder& decoder) {
        const auto count = cofutures::decode<std::uint64_t>(decoder);
        if (count > Bits().max_size() || bytes_for_bits(count) > decoder.remaining()) {
            throw_truncated(type_name<Bits>(), bytes_for_bits(count), decoder.remaining());
        }
        return count;
    }
};

template <class T, class A>
struct BuiltinCodec<std::deque<T, A>> : SequenceCodec<std::deque<T, A>> {};

template <class T, class A>
struct BuiltinCodec<std::list<T, A>> : SequenceCodec<std::list<T, A>> {};

template <class T, class A>
struct BuiltinCodec<std::forward_list<T, A>> {
    using List = std::forward_list<T, A>;
    using parts = Types<T>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const List& values) {
        const auto count = std::distance(values.begin(), values.end());
        encode_elements(encoder, values, static_cast<std::size_t>(count));
    }

    static List decode(Decoder& decoder) {
        const auto count = decoder.read_size(detail::min_size<T>(), type_name<List>());
        List values;
        auto last = values.before_begin();
        for (std::size_t i = 0; i < count; ++i) {
            last = values.emplace_after(last, cofutures::decode<T>(decoder));
        }
        return values;
    }
};

template <class... Ts>
struct BuiltinCodec<std::set<Ts...>> : AssociativeCodec<std::set<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::multiset<Ts...>> : AssociativeCodec<std::multiset<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::unordered_set<Ts...>> : AssociativeCodec<std::unordered_set<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::unordered_multiset<Ts...>>
    : AssociativeCodec<std::unordered_multiset<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::map<Ts...>> : AssociativeCodec<std::map<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::multimap<Ts...>> : AssociativeCodec<std::multimap<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::unordered_map<Ts...>> : AssociativeCodec<std::unordered_map<Ts...>> {};

template <class... Ts>
struct BuiltinCodec<std::unordered_multimap<Ts...>>
    : AssociativeCodec<std::unordered_multimap<Ts...>> {};

template <class T, std::size_t Size>
struct BuiltinCodec<std::array<T, Size>> {
    using Array = std::array<T, Size>;
    using Value = std::remove_const_t<T>;
    using parts = Types<Value>;
    static constexpr bool bulk = is_bulk<Value> && !HasCustomCodec<Value>;

    static consteval std::size_t min_size() { return Size * detail::min_size<Value>(); }

    static void encode(Encoder& encoder, const Array& values) {
        if constexpr (bulk) {
            encoder.write(std::as_bytes(std::span(values)));
        } else {
            for (const auto& value : values) {
                cofutures::encode(encoder, value);
            }
        }
    }

    static Array decode(Decoder& decoder) {
        if constexpr (std::is_const_v<T> || !std::default_initializable<T> || !std::movable<T>) {
            return decode_in_place(decoder, std::make_index_sequence<Size>());
        } else {
            Array values{};
            if constexpr (bulk) {
                const auto bytes = decoder.read(sizeof(T) * Size, type_name<Array>());
                std::ranges::copy(bytes, std::as_writable_bytes(std::span(values)).begin());
            } else {
                for (auto& value : values) {
                    value = cofutures::decode<T>(decoder);
                }
            }
            return values;
        }
    }

private:
    template <std::size_t... I>
    static Array decode_in_place(Decoder& decoder, std::index_sequence<I...>) {
        return Array{{(static_cast<void>(I), cofutures::decode<Value>(decoder))...}};
    }
};

}  // namespace cofutures::detail
