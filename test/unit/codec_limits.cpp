#include <cofutures/codec.hpp>

#define BOOST_TEST_MODULE codec_limits
#include "unit/codec_test.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

// Bytes that are no value, whoever sent them: refused, before they cost anything.

using namespace cofutures;
using namespace cofutures::test;

BOOST_AUTO_TEST_SUITE(codec_limits)

BOOST_AUTO_TEST_CASE(a_huge_count_is_refused_before_anything_is_allocated) {
    for (const std::uint64_t count :
         {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 61, std::uint64_t{100}}) {
        Bytes bytes = size_of(count);
        bytes.resize(bytes.size() + 12);
        BOOST_CHECK_THROW(decoded<std::string>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::wstring>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::filesystem::path>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::vector<char>>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::vector<double>>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::vector<std::string>>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::vector<bool>>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::deque<int>>(bytes), SerializationError);
        BOOST_CHECK_THROW(decoded<std::forward_list<int>>(bytes), SerializationError);
        BOOST_CHECK_THROW((decoded<std::map<int, int>>(bytes)), SerializationError);
        BOOST_CHECK_THROW(decoded<std::unordered_set<int>>(bytes), SerializationError);
    }
}

BOOST_AUTO_TEST_CASE(elements_that_take_no_bytes_are_limited) {
    for (const std::uint64_t count : {~std::uint64_t{0}, std::uint64_t{65537}}) {
        BOOST_CHECK_THROW(decoded<std::vector<app::Empty>>(size_of(count)), SerializationError);
        BOOST_CHECK_THROW(decoded<std::vector<app::Token>>(size_of(count)), SerializationError);
        BOOST_CHECK_THROW(decoded<std::list<std::nullptr_t>>(size_of(count)), SerializationError);
    }
    BOOST_TEST(decoded<std::vector<app::Empty>>(size_of(65536)).size() == 65536U);
    BOOST_CHECK_THROW(encoded(std::vector<app::Empty>(65537)), SerializationError);
    // A custom codec that does write is not limited.
    check_round_trip(std::list(20, app::Celsius(1)));
    const std::vector many(100'000, app::Celsius(1));
    BOOST_TEST((decoded<std::vector<app::Celsius>>(encoded(many)) == many));
}

BOOST_AUTO_TEST_CASE(nesting_is_limited_on_both_sides) {
    const auto deep = [](int levels) {
        app::Tree tree{0, {}};
        for (int i = 1; i < levels; ++i) {
            app::Tree outer{i, {}};
            outer.children.push_back(std::move(tree));
            tree = std::move(outer);
        }
        return tree;
    };
    const auto fits = deep(128);
    BOOST_TEST((decoded<app::Tree>(encoded(fits)) == fits));
    BOOST_CHECK_THROW(encoded(deep(129)), SerializationError);

    Bytes bytes;
    Encoder encoder(bytes);
    for (int i = 0; i < 100'000; ++i) {
        encode(encoder, i);
        encoder.write_size(1);
    }
    BOOST_TEST(error_of<app::Tree>(bytes).find("256 levels of nesting") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_cycle_of_shared_pointers_is_refused) {
    auto ring = std::make_shared<app::Ring>();
    ring->next = ring;
    BOOST_CHECK_THROW(encoded(ring), SerializationError);
    ring->next.reset();
}

BOOST_AUTO_TEST_CASE(a_failed_decode_leaves_the_depth_as_it_was) {
    Bytes bytes = encoded(std::vector<std::string>{"a"});
    bytes.back() = std::byte{};
    Decoder decoder({bytes.data(), 4});
    for (int i = 0; i < 1000; ++i) {
        BOOST_CHECK_THROW(
            static_cast<void>(decode<std::vector<std::string>>(decoder)), SerializationError
        );
    }
    Decoder fresh(bytes);
    BOOST_CHECK_NO_THROW(static_cast<void>(decode<std::vector<std::string>>(fresh)));
}

/// Whatever the bytes, decoding ends with a value that encodes again, or with the one error.
BOOST_AUTO_TEST_CASE(garbage_is_refused_or_is_a_value) {
    const unsigned seed = std::random_device()();
    BOOST_TEST_MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    using Everything = std::tuple<
        app::Shape,
        std::vector<app::Tree>,
        std::variant<std::string, std::map<std::string, int>, std::vector<bool>>,
        std::unique_ptr<std::unordered_map<int, std::string>>>;
    Everything sample;
    std::get<0>(sample) = {"shape", {{1, 2}}, app::Colour::red, {1, 2, 3}, {}, {1, 2}};
    std::get<1>(sample) = {{1, {{2, {}}}}};
    std::get<2>(sample) = std::map<std::string, int>{{"a", 1}, {"b", 2}};
    std::get<3>(sample) = std::make_unique<std::unordered_map<int, std::string>>(
        std::unordered_map<int, std::string>{{1, "a"}}
    );
    const Bytes original = encoded(sample);
    for (int round = 0; round < 20'000; ++round) {
        Bytes bytes = original;
        for (int flips = 0; flips < 1 + round % 4; ++flips) {
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        }
        try {
            Decoder decoder(bytes);
            const auto value = decode<Everything>(decoder);
            BOOST_REQUIRE(!encoded(value).empty());
        } catch (const SerializationError&) {
        } catch (...) {
            BOOST_FAIL("another exception, seed " << seed << ", round " << round);
        }
    }
}

/// Each byte of a length field set to all ones: too large, never too much.
BOOST_AUTO_TEST_CASE(a_corrupted_length_is_refused) {
    const std::vector<std::string> value{"ab", "cde"};
    const Bytes original = encoded(value);
    for (const std::size_t field : {0U, 8U, 18U}) {
        for (std::size_t i = 0; i < 8; ++i) {
            Bytes bytes = original;
            bytes[field + i] = std::byte{0xff};
            BOOST_CHECK_THROW(decoded<std::vector<std::string>>(bytes), SerializationError);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
