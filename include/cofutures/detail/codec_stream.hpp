#pragma once

#include <cofutures/export.hpp>

#include <cofutures/detail/codec_trait.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// @file
/// The two ends of the codec, `Encoder` and `Decoder`. They are public, as a part of
/// <cofutures/codec.hpp>; they stand here because the codecs of the standard types, which that
/// header includes, need them first.

namespace cofutures {

namespace detail {

/// A run of elements of this many bytes or more need not be in the message itself: it may lie in
/// memory that both processes share, and the message says where. Below that the pipe is as fast.
inline constexpr std::size_t smallest_block = std::size_t{16} * 1024;

class SharedContent;

/// Where the encoded value of something shared lies.
struct SharedPlace {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

/// Where an encoder puts large runs, and what many messages use.
class COFUTURES_EXPORT BlockStore {
public:
    BlockStore(const BlockStore&) = delete;
    BlockStore& operator=(const BlockStore&) = delete;

    /// Takes a copy of the bytes; gives the place to be told, or nothing if there is no room.
    virtual std::optional<std::uint64_t> put(std::span<const std::byte> bytes) = 0;

    /// Says where the receiver finds a shared value; nothing if the message has to hold it.
    virtual std::optional<SharedPlace> share(SharedContent& /*content*/) { return std::nullopt; }

protected:
    BlockStore() = default;
    ~BlockStore() = default;
};

/// Where a decoder finds them.
class COFUTURES_EXPORT BlockSource {
public:
    BlockSource(const BlockSource&) = delete;
    BlockSource& operator=(const BlockSource&) = delete;

    /// Gives the bytes at a place, aligned for any type; they stay while the message is decoded.
    /// Throws SerializationError if there are no such bytes.
    virtual std::span<const std::byte> get(std::uint64_t place, std::size_t size) = 0;

    /// The decoded shared value of this name and type; null if there is none.
    virtual std::shared_ptr<void> find_shared(std::uint64_t /*id*/, const void* /*type*/) {
        return nullptr;
    }
    /// Gives its bytes. Throws SerializationError if they are not there.
    virtual std::span<const std::byte> get_shared(std::uint64_t id, SharedPlace place);
    /// Keeps it for the messages to come.
    virtual void keep_shared(
        std::uint64_t /*id*/,
        SharedPlace /*place*/,
        const void* /*type*/,
        std::shared_ptr<void> /*content*/  // NOLINTNEXTLINE(performance-unnecessary-value-param)
    ) {}

protected:
    BlockSource() = default;
    ~BlockSource() = default;
};

}  // namespace detail

/// Appends encoded values to a vector of bytes.
///
/// When a call throws, the vector may end with part of a value; the caller truncates it.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
class COFUTURES_EXPORT Encoder {
public:
    /// @param out  Where the bytes go, after what it holds already; must outlive the encoder.
    explicit Encoder(std::vector<std::byte>& out) noexcept : out_(&out) {}
    Encoder(std::vector<std::byte>& out, detail::BlockStore* blocks) noexcept
        : out_(&out), blocks_(blocks) {}

    /// Appends `bytes` as they are, without their number.
    ///
    /// @throws std::bad_alloc, std::length_error  if the vector cannot grow.
    void write(std::span<const std::byte> bytes) {
        out_->insert(out_->end(), bytes.begin(), bytes.end());
    }

    /// Appends a number of elements or bytes, to be read by `Decoder::read_size`.
    void write_size(std::size_t size);

    /// Appends the memory of `count` elements, to be read by `Decoder::read_elements`: the number,
    /// then their bytes, or the place where these lie if there are many.
    void write_elements(std::size_t count, std::span<const std::byte> bytes);

    /// Where large runs go; null if into the message.
    [[nodiscard]] detail::BlockStore* blocks() const noexcept { return blocks_; }

    /// How many bytes the vector holds by now.
    [[nodiscard]] std::size_t size() const noexcept { return out_->size(); }

private:
    friend detail::NestingGuard<Encoder>;

    std::vector<std::byte>* out_;
    detail::BlockStore* blocks_ = nullptr;
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
    Decoder(std::span<const std::byte> bytes, detail::BlockSource* blocks) noexcept
        : rest_(bytes), blocks_(blocks) {}

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

    /// Takes what `Encoder::write_elements` wrote.
    ///
    /// @param element_bytes  What one element takes, more than 0.
    /// @param what           What is being decoded, for the message of the error.
    /// @returns The elements' memory, a multiple of `element_bytes`, with no promise of alignment.
    /// @throws SerializationError  if the bytes left cannot hold so many elements.
    std::span<const std::byte>
    read_elements(std::size_t element_bytes, std::string_view what = "elements");

    /// Where large runs come from; null if from the message.
    [[nodiscard]] detail::BlockSource* blocks() const noexcept { return blocks_; }

    /// How many bytes are left.
    [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }

    /// Checks that nothing is left.
    ///
    /// @throws SerializationError  if bytes are left, for then the two sides disagree on the type.
    void expect_end() const;

private:
    friend detail::NestingGuard<Decoder>;

    std::span<const std::byte> rest_;
    detail::BlockSource* blocks_ = nullptr;
    unsigned depth_ = 0;
};

template <class T>
void encode(Encoder& encoder, const T& value);

template <class T>
[[nodiscard]] T decode(Decoder& decoder);

}  // namespace cofutures
