#include <cofutures/codec.hpp>

#define BOOST_TEST_MODULE codec_blocks
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace cofutures;

namespace {

using Bytes = std::vector<std::byte>;
using detail::smallest_block;

// Memory that both sides share, as far as one process can have it.
class Blocks final : public detail::BlockStore, public detail::BlockSource {
public:
    std::optional<std::uint64_t> put(std::span<const std::byte> bytes) override {
        if (full) {
            return std::nullopt;
        }
        const std::uint64_t place = 64 * (1 + blocks.size());
        blocks.emplace(place, Bytes(bytes.begin(), bytes.end()));
        return place;
    }

    std::span<const std::byte> get(std::uint64_t place, std::size_t size) override {
        const auto found = blocks.find(place);
        if (found == blocks.end() || size > found->second.size()) {
            throw SerializationError("no such block");
        }
        return std::span(found->second).first(size);
    }

    bool full = false;
    std::map<std::uint64_t, Bytes> blocks;
};

template <class T>
Bytes encoded(const T& value, Blocks* blocks) {
    Bytes bytes;
    Encoder encoder(bytes, blocks);
    encode(encoder, value);
    return bytes;
}

template <class T>
T decoded(const Bytes& bytes, Blocks* blocks) {
    Decoder decoder(bytes, blocks);
    T value = decode<T>(decoder);
    decoder.expect_end();
    return value;
}

template <class T>
std::vector<T> elements(std::size_t bytes) {
    std::vector<T> values(bytes / sizeof(T));
    std::iota(values.begin(), values.end(), T{});
    return values;
}

BOOST_AUTO_TEST_CASE(large_run_is_left_out_of_the_message) {
    Blocks blocks;
    const auto values = elements<double>(smallest_block);
    const Bytes message = encoded(values, &blocks);
    BOOST_TEST(message.size() < 32U);
    BOOST_REQUIRE(blocks.blocks.size() == 1U);
    BOOST_TEST(decoded<std::vector<double>>(message, &blocks) == values);
}

BOOST_AUTO_TEST_CASE(small_run_stays_in_the_message) {
    Blocks blocks;
    const auto values = elements<double>(smallest_block - sizeof(double));
    const Bytes message = encoded(values, &blocks);
    BOOST_TEST(blocks.blocks.empty());
    BOOST_TEST(message.size() == sizeof(std::uint64_t) + smallest_block - sizeof(double));
    BOOST_TEST(decoded<std::vector<double>>(message, &blocks) == values);
}

BOOST_AUTO_TEST_CASE(large_run_travels_in_the_message_where_no_memory_is_shared) {
    const auto values = elements<std::uint32_t>(2 * smallest_block);
    BOOST_TEST(decoded<std::vector<std::uint32_t>>(encoded(values, nullptr), nullptr) == values);
    Blocks full;
    full.full = true;
    BOOST_TEST(decoded<std::vector<std::uint32_t>>(encoded(values, &full), &full) == values);
}

BOOST_AUTO_TEST_CASE(every_large_run_of_a_value_has_a_block_of_its_own) {
    Blocks blocks;
    using Value = std::pair<std::vector<std::vector<float>>, std::string>;
    const Value value{
        {elements<float>(smallest_block), {1.0F}, elements<float>(3 * smallest_block)},
        std::string(smallest_block, 'x')};
    const Bytes message = encoded(value, &blocks);
    BOOST_TEST(blocks.blocks.size() == 3U);
    BOOST_TEST((decoded<Value>(message, &blocks) == value));
}

BOOST_AUTO_TEST_CASE(odd_sizes_at_the_limit_come_back) {
    Blocks blocks;
    for (std::size_t size = smallest_block - 3; size < smallest_block + 3; ++size) {
        const std::string text(size, 'x');
        BOOST_TEST(decoded<std::string>(encoded(text, &blocks), &blocks) == text);
        const std::vector<char16_t> wide(size / 2, u'x');
        BOOST_TEST((decoded<std::vector<char16_t>>(encoded(wide, &blocks), &blocks) == wide));
    }
}

BOOST_AUTO_TEST_CASE(block_that_is_not_there_is_refused) {
    Blocks blocks;
    const Bytes message = encoded(elements<double>(smallest_block), &blocks);
    Blocks others;
    BOOST_CHECK_THROW(decoded<std::vector<double>>(message, &others), SerializationError);
    BOOST_CHECK_THROW(decoded<std::vector<double>>(message, nullptr), SerializationError);
}

BOOST_AUTO_TEST_CASE(size_that_overflows_is_refused) {
    Blocks blocks;
    Bytes message = encoded(elements<double>(smallest_block), &blocks);
    std::fill_n(message.begin(), sizeof(std::uint64_t), std::byte{0xff});
    BOOST_CHECK_THROW(decoded<std::vector<double>>(message, &blocks), SerializationError);
    std::fill_n(message.begin(), sizeof(std::uint64_t), std::byte{});
    message[sizeof(std::uint64_t) - 1] = std::byte{0x20};  // 2^61 elements: 2^64 bytes
    BOOST_CHECK_THROW(decoded<std::vector<double>>(message, &blocks), SerializationError);
}

BOOST_AUTO_TEST_CASE(unknown_mark_of_a_place_is_refused) {
    Blocks blocks;
    Bytes message = encoded(elements<double>(smallest_block), &blocks);
    message[sizeof(std::uint64_t)] = std::byte{2};
    BOOST_CHECK_THROW(decoded<std::vector<double>>(message, &blocks), SerializationError);
}

BOOST_AUTO_TEST_CASE(message_cut_short_is_refused) {
    Blocks blocks;
    for (Blocks* const shared : {&blocks, static_cast<Blocks*>(nullptr)}) {
        Bytes message = encoded(elements<double>(smallest_block), shared);
        while (!message.empty()) {
            message.resize(std::min(message.size() - 1, std::size_t{40}));
            BOOST_CHECK_THROW(decoded<std::vector<double>>(message, shared), SerializationError);
        }
    }
}

}  // namespace
