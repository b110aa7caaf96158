#include <cofutures/codec.hpp>

#include <cofutures/error.hpp>

#include <cstdint>
#include <string>

namespace cofutures {

namespace {

[[noreturn]] void fail(const char* verb, std::string_view type, const std::string& reason) {
    throw SerializationError(
        "cannot " + std::string(verb) + " " + std::string(type) + ": " + reason
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
        fail(
            "decode",
            what,
            std::to_string(count) + " elements announced, " + std::to_string(remaining()) +
                " bytes left"
        );
    }
    return static_cast<std::size_t>(count);
}

void Decoder::expect_end() const {
    if (!rest_.empty()) {
        throw SerializationError(
            "cannot decode: " + std::to_string(rest_.size()) + " bytes left over"
        );
    }
}

namespace detail {

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
