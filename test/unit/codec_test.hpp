#pragma once

#include <cofutures/codec.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// @file
/// What the tests of the codec share: types of an application, and what comes of encoding them.
/// Included after BOOST_TEST_MODULE.

namespace app {

class Celsius {
public:
    explicit Celsius(double degrees) : degrees_(degrees) {}
    double degrees() const { return degrees_; }
    bool operator==(const Celsius&) const = default;

private:
    double degrees_;
};

/// Its codec writes nothing: only its type matters.
class Token {
public:
    Token(const Token&) = default;
    static Token make() { return {}; }
    bool operator==(const Token&) const = default;

private:
    Token() {}
};

enum class Colour : std::uint8_t { red = 1, green = 200 };

struct Empty {
    bool operator==(const Empty&) const = default;
};

struct Point {
    double x;
    double y;
    bool operator==(const Point&) const = default;
};

struct Shape {
    std::string name;
    std::vector<Point> points;
    std::optional<Colour> colour;
    std::array<int, 3> rgb;
    Empty nothing;
    Point centre;
    Celsius temperature{0};
    bool operator==(const Shape&) const = default;
};

struct Tree {
    int value;
    std::vector<Tree> children;
    bool operator==(const Tree&) const = default;
};

struct Ring {
    std::shared_ptr<Ring> next;
};

}  // namespace app

template <>
struct cofutures::Codec<app::Celsius> {
    static void encode(Encoder& encoder, const app::Celsius& value) {
        cofutures::encode(encoder, value.degrees());
    }
    static app::Celsius decode(Decoder& decoder) {
        return app::Celsius(cofutures::decode<double>(decoder));
    }
};

template <>
struct cofutures::Codec<app::Token> {
    static void encode(Encoder&, const app::Token&) {}
    static app::Token decode(Decoder&) { return app::Token::make(); }
};

namespace cofutures::test {

using Bytes = std::vector<std::byte>;

template <class T>
Bytes encoded(const T& value) {
    Bytes bytes;
    Encoder encoder(bytes);
    cofutures::encode(encoder, value);
    return bytes;
}

template <class T>
T decoded(std::span<const std::byte> bytes) {
    Decoder decoder(bytes);
    T value = cofutures::decode<T>(decoder);
    decoder.expect_end();
    return value;
}

template <class... Ints>
Bytes bytes_of(Ints... ints) {
    return {static_cast<std::byte>(ints)...};
}

inline Bytes size_of(std::uint64_t size) {
    return encoded(size);
}

/// The value comes back; every truncation of its bytes is refused.
template <class T>
void check_round_trip(const T& value) {
    BOOST_TEST_CONTEXT(detail::type_name<T>()) {
        const Bytes bytes = encoded(value);
        BOOST_TEST((decoded<T>(bytes) == value));
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            // A copy of its own, so that the address sanitizer sees a read beyond the end.
            const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
            BOOST_CHECK_THROW(decoded<T>(cut), SerializationError);
        }
    }
}

/// Says what the error says, or that there was none.
template <class T>
std::string error_of(const Bytes& bytes) {
    try {
        static_cast<void>(decoded<T>(bytes));
        return "no error";
    } catch (const SerializationError& error) {
        return error.what();
    }
}

}  // namespace cofutures::test
