#pragma once

#include <cofutures/codec.hpp>

#include <cofutures/detail/archive_probe.hpp>

#include <boost/archive/archive_exception.hpp>
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/access.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

/// @file
/// Opt-in: lets what has a Boost.Serialization `serialize` cross to another process.
///
/// Include it, before the first use of a codec, and link `Boost::serialization`; no other header
/// of this library needs either.
///
/// @code{.cpp} run
/// #include <cofutures/boost_serialization.hpp>
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
///
/// class Money {
/// public:
///     Money() = default;
///     explicit Money(long cents) : cents_(cents) {}
///     long cents() const { return cents_; }
///
/// private:
///     friend class boost::serialization::access;
///     template <class Archive>
///     void serialize(Archive& archive, unsigned) { archive & cents_; }
///     long cents_ = 0;
/// };
///
/// Money twice(const Money& money) { return Money(2 * money.cents()); }
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool;
///     assert(pool.submit(twice, Money(150)).result().cents() == 300);
/// }
/// @endcode
///
/// `serialize` may be a member, a private one with the usual friend, or a free function, in the
/// type's namespace or in `boost::serialization`; it may be split in `save` and `load`. It is used
/// for classes that no other codec fits: not for one with a `cofutures::Codec`, not for what the
/// library knows, not for a plain aggregate whose members all have a codec. The class must be
/// movable, and default-constructible for `boost::serialization::access`. One that is `final` must
/// have its member `serialize` public.
///
/// **Trust.** The archive is a byte string of a length that is checked, but what reads it is
/// Boost.Serialization, which believes the lengths that it finds. A worker of the same build writes
/// none that are wrong; from any other source these bytes must not be taken.

namespace cofutures::detail {

/// A stream of bytes that are there already, or are appended to an encoder.
class ArchiveSource : public std::streambuf {
public:
    explicit ArchiveSource(std::span<const std::byte> bytes) {
        // The interface wants them mutable, reading leaves them as they are.
        auto* begin = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));  // NOLINT
        setg(begin, begin, begin + bytes.size());
    }
    [[nodiscard]] bool is_at_end() const { return gptr() == egptr(); }
};

class ArchiveSink : public std::streambuf {
public:
    [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

protected:
    std::streamsize xsputn(const char* text, std::streamsize size) override {
        const auto added = std::as_bytes(std::span(text, static_cast<std::size_t>(size)));
        bytes_.insert(bytes_.end(), added.begin(), added.end());
        return size;
    }
    int_type overflow(int_type letter) override {
        if (!traits_type::eq_int_type(letter, traits_type::eof())) {
            bytes_.push_back(static_cast<std::byte>(letter));
        }
        return traits_type::not_eof(letter);
    }

private:
    std::vector<std::byte> bytes_;
};

/// Room for an object that only Boost.Serialization may construct by default.
template <class T>
class ArchivedObject {
public:
    ArchivedObject() { boost::serialization::access::construct(get()); }
    ArchivedObject(const ArchivedObject&) = delete;
    ArchivedObject& operator=(const ArchivedObject&) = delete;
    ~ArchivedObject() { std::destroy_at(get()); }

    T* get() noexcept { return reinterpret_cast<T*>(room_); }  // NOLINT

private:
    alignas(T) std::byte room_[sizeof(T)];  // NOLINT(cppcoreguidelines-avoid-c-arrays)
};

/// A value as an archive in a byte string.
template <class T>
struct ArchiveCodec {
    using parts = Types<>;

    static consteval std::size_t min_size() { return size_bytes; }

    static void encode(Encoder& encoder, const T& value) {
        ArchiveSink sink;
        try {
            boost::archive::binary_oarchive archive(sink, flags);
            archive << value;
        } catch (const boost::archive::archive_exception& error) {
            throw_unencodable(type_name<T>(), error.what());
        }
        encoder.write_size(sink.bytes().size());
        encoder.write(sink.bytes());
    }

    static T decode(Decoder& decoder) {
        const std::size_t size = decoder.read_size(1, type_name<T>());
        ArchiveSource source(decoder.read(size, type_name<T>()));
        ArchivedObject<T> object;
        try {
            boost::archive::binary_iarchive archive(source, flags);
            archive >> *object.get();
        } catch (const boost::archive::archive_exception& error) {
            throw_undecodable(type_name<T>(), error.what());
        } catch (const std::length_error& error) {
            throw_undecodable(type_name<T>(), error.what());
        }
        if (!source.is_at_end()) {
            throw_undecodable(type_name<T>(), "bytes left over in its archive");
        }
        return std::move(*object.get());
    }

private:
    // Both sides are one build, so no header has to say what wrote it.
    static constexpr unsigned flags = boost::archive::no_header | boost::archive::no_codecvt;
};

template <class T>
requires IsArchivedClass<T>
struct BuiltinCodec<T> : ArchiveCodec<T> {
};

/// An aggregate that cannot be taken apart, as one of its members has no codec.
template <PlainAggregate T>
requires IsArchivedAggregate<T>
struct BuiltinCodec<T> : ArchiveCodec<T> {
};

}  // namespace cofutures::detail
