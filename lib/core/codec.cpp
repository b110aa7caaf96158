#include <cofutures/codec.hpp>

#include <cofutures/error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace cofutures {

namespace {

[[noreturn]] void fail(const char* verb, std::string_view type, const std::string& reason) {
    throw SerializationError(
        "cannot " + std::string(verb) + " " + std::string(type) + ": " + reason
    );
}

}  // namespace

namespace {

// What says where the elements of a large run are.
constexpr std::byte in_message{0};
constexpr std::byte in_block{1};

[[noreturn]] void fail_count(std::string_view what, std::uint64_t count, std::size_t remaining) {
    fail(
        "decode",
        what,
        std::to_string(count) + " elements announced, " + std::to_string(remaining) + " bytes left"
    );
}

}  // namespace

void Encoder::write_size(std::size_t size) {
    cofutures::encode(*this, static_cast<std::uint64_t>(size));
}

std::size_t Decoder::read_size(std::size_t element_bytes, std::string_view what) {
    const auto count = cofutures::decode<std::uint64_t>(*this);
    // Divided, not multiplied: the product could overflow.
    const std::uint64_t possible =
        element_bytes == 0 ? remaining() + detail::max_free_elements : remaining() / element_bytes;
    if (count > possible) {
        fail_count(what, count, remaining());
    }
    return static_cast<std::size_t>(count);
}

void Encoder::write_elements(std::size_t count, std::span<const std::byte> bytes) {
    write_size(count);
    if (bytes.size() >= detail::smallest_block) {
        const auto place = blocks_ == nullptr ? std::nullopt : blocks_->put(bytes);
        write({place ? &in_block : &in_message, 1});
        if (place) {
            cofutures::encode(*this, *place);
            return;
        }
    }
    write(bytes);
}

std::span<const std::byte>
Decoder::read_elements(std::size_t element_bytes, std::string_view what) {
    const auto count = cofutures::decode<std::uint64_t>(*this);
    const bool is_small = count < (detail::smallest_block + element_bytes - 1) / element_bytes;
    if (!is_small && !rest_.empty() && rest_.front() == in_block) {
        read(1);
        const auto place = cofutures::decode<std::uint64_t>(*this);
        if (blocks_ == nullptr || count > SIZE_MAX / element_bytes) {
            fail("decode", what, "it refers to shared memory that is not there");
        }
        return blocks_->get(place, static_cast<std::size_t>(count) * element_bytes);
    }
    if (!is_small && read(1, what).front() != in_message) {
        fail("decode", what, "no such place for its elements");
    }
    if (count > remaining() / element_bytes) {
        fail_count(what, count, remaining());
    }
    return read(static_cast<std::size_t>(count) * element_bytes, what);
}

void Decoder::expect_end() const {
    if (!rest_.empty()) {
        throw SerializationError(
            "cannot decode: " + std::to_string(rest_.size()) + " bytes left over"
        );
    }
}

namespace detail {

std::span<const std::byte> BlockSource::get_shared(std::uint64_t /*id*/, SharedPlace /*place*/) {
    throw SerializationError("a message refers to a shared value that is not there");
}

void throw_truncated(std::string_view type, std::size_t needed, std::size_t left) {
    fail(
        "decode", type, std::to_string(needed) + " bytes needed, " + std::to_string(left) + " left"
    );
}

void throw_undecodable(std::string_view type, const char* reason) {
    fail("decode", type, reason);
}

void throw_unencodable(std::string_view type, const char* reason) {
    fail("encode", type, reason);
}

void throw_too_deep(std::string_view type) {
    fail("carry", type, "more than " + std::to_string(max_nesting) + " levels of nesting");
}

}  // namespace detail
}  // namespace cofutures
