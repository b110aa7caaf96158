#include "process/frame.hpp"

#define BOOST_TEST_MODULE frame
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace cofutures;
using namespace cofutures::process;

using Bytes = std::vector<std::byte>;

/// A frame that owns its payload.
struct Received {
    FrameKind kind;
    std::uint64_t task_id;
    Bytes payload;
    bool operator==(const Received&) const = default;
};

std::span<const std::byte> view(std::string_view text) {
    return std::as_bytes(std::span(text));
}

Bytes bytes_of(std::string_view text) {
    const auto bytes = view(text);
    return {bytes.begin(), bytes.end()};
}

void take_all(FrameReader& reader, std::vector<Received>& frames) {
    while (const auto frame = reader.next()) {
        frames.push_back(
            {frame->kind, frame->task_id, Bytes(frame->payload.begin(), frame->payload.end())}
        );
    }
}

std::vector<Received> read_in_pieces(const Bytes& stream, std::size_t piece) {
    FrameReader reader;
    std::vector<Received> frames;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        reader.feed(std::span(stream).subspan(at, std::min(piece, stream.size() - at)));
        take_all(reader, frames);
    }
    BOOST_TEST(!reader.in_frame());
    return frames;
}

const std::vector<Received> sample{
    {FrameKind::hello, 0, bytes_of("hello")},
    {FrameKind::task, 1, bytes_of("arguments")},
    {FrameKind::value, 0x0102030405060708, {}},
    {FrameKind::failure, ~std::uint64_t{0}, Bytes(300, std::byte{0xff})},
    {FrameKind::init_failed, 3, bytes_of("x")},
    {FrameKind::stop, 0, {}},
    {FrameKind::ready, 0, {}},
};

Bytes stream_of(const std::vector<Received>& frames) {
    Bytes stream;
    for (const auto& frame : frames) {
        append_frame(stream, frame.kind, frame.task_id, {frame.payload});
    }
    return stream;
}

/// What the reader says of a header with one byte changed.
std::string error_of(std::size_t at, int value, std::uint64_t max_payload) {
    Bytes stream;
    append_frame(stream, FrameKind::task, 1, {view("payload")});
    stream.at(at) = static_cast<std::byte>(value);
    stream.resize(frame_header_size);
    FrameReader reader(max_payload);
    reader.feed(stream);
    try {
        static_cast<void>(reader.next());
        return "no error";
    } catch (const SerializationError& error) {
        BOOST_CHECK_THROW(static_cast<void>(reader.next()), SerializationError);
        return error.what();
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(frame)

BOOST_AUTO_TEST_CASE(a_frame_is_a_header_of_24_bytes_and_the_payload) {
    Bytes stream;
    append_frame(stream, FrameKind::task, 0x0102, {view("ab"), view(""), view("c")});
    BOOST_TEST(stream.size() == 27U);
    Bytes expected(27);
    expected[0] = std::byte{3};
    expected[8] = std::byte{2};
    expected[9] = std::byte{1};
    expected[16] = std::byte{2};
    std::ranges::copy(view("abc"), expected.begin() + 24);
    BOOST_TEST((stream == expected));
}

BOOST_AUTO_TEST_CASE(three_ways_to_write_a_frame_give_the_same_bytes) {
    Bytes appended;
    append_frame(appended, FrameKind::value, 7, {view("abc")});

    Bytes opened;
    const auto mark = open_frame(opened, FrameKind::value, 7);
    std::ranges::copy(view("abc"), std::back_inserter(opened));
    close_frame(opened, mark);
    BOOST_TEST((opened == appended));

    const auto header = make_frame_header(FrameKind::value, 7, 3);
    BOOST_TEST(std::ranges::equal(header, std::span(appended).first(frame_header_size)));
}

BOOST_AUTO_TEST_CASE(a_frame_can_be_opened_behind_others) {
    Bytes stream = stream_of(sample);
    const auto mark = open_frame(stream, FrameKind::stop, 9);
    close_frame(stream, mark);
    auto expected = sample;
    expected.push_back({FrameKind::stop, 9, {}});
    BOOST_TEST((read_in_pieces(stream, stream.size()) == expected));
}

BOOST_AUTO_TEST_CASE(frames_arrive_however_the_stream_is_cut) {
    const Bytes stream = stream_of(sample);
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        BOOST_REQUIRE((read_in_pieces(stream, piece) == sample));
    }
}

BOOST_AUTO_TEST_CASE(a_cut_at_every_byte_makes_no_difference) {
    const Bytes stream = stream_of(sample);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        FrameReader reader;
        std::vector<Received> frames;
        reader.feed(std::span(stream).first(cut));
        take_all(reader, frames);
        reader.feed(std::span(stream).subspan(cut));
        take_all(reader, frames);
        BOOST_REQUIRE((frames == sample));
    }
}

BOOST_AUTO_TEST_CASE(a_reader_is_in_a_frame_until_its_last_byte) {
    Bytes stream;
    append_frame(stream, FrameKind::task, 1, {view("abc")});
    FrameReader reader;
    BOOST_TEST(!reader.in_frame());
    for (const auto byte : stream) {
        BOOST_TEST(!reader.next().has_value());
        reader.feed({&byte, 1});
        BOOST_TEST(reader.in_frame());
    }
    BOOST_TEST(reader.next().has_value());
    BOOST_TEST(!reader.in_frame());
}

BOOST_AUTO_TEST_CASE(bytes_can_be_received_into_the_readers_own_buffer) {
    const Bytes stream = stream_of(sample);
    FrameReader reader;
    std::vector<Received> frames;
    std::size_t at = 0;
    while (at < stream.size()) {
        const auto room = reader.prepare(3);
        BOOST_REQUIRE(room.size() >= 3U);
        const std::size_t size = std::min<std::size_t>({room.size(), 5, stream.size() - at});
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), size, room.begin());
        reader.commit(size);
        at += size;
        take_all(reader, frames);
    }
    BOOST_TEST((frames == sample));
}

BOOST_AUTO_TEST_CASE(answers_say_how_long_the_task_ran) {
    using namespace std::chrono_literals;
    for (const auto& [written, read] :
         {std::pair(0ns, 0ns),
          std::pair(1234ns, 1234ns),
          std::pair(-5ns, 0ns),
          std::pair(std::chrono::nanoseconds(1h), 4'294'967'295ns)}) {
        Bytes stream;
        append_frame(stream, FrameKind::value, 1, {view("abc")});
        set_run_time(stream, 0, written);
        FrameReader reader;
        reader.feed(stream);
        const auto frame = reader.next();
        BOOST_REQUIRE(frame.has_value());
        BOOST_TEST((frame->run_time == read));
        BOOST_TEST(frame->payload.size() == 3U);
    }
}

BOOST_AUTO_TEST_CASE(a_bad_header_is_refused_as_soon_as_it_is_complete) {
    constexpr auto limit = FrameReader::default_max_payload;
    BOOST_TEST(error_of(16, 0, limit) == "bad frame: unknown kind 0");
    BOOST_TEST(error_of(16, 9, limit) == "bad frame: unknown kind 9");
    BOOST_TEST(error_of(16, 255, limit) == "bad frame: unknown kind 255");
    for (std::size_t reserved = 17; reserved < frame_header_size; ++reserved) {
        BOOST_TEST(error_of(reserved, 1, limit) == "bad frame: reserved bytes are in use");
    }
    BOOST_TEST(error_of(0, 8, 7) == "bad frame: a payload of 8 bytes, 7 are allowed");
    BOOST_TEST(error_of(0, 7, 7) == "no error");
    BOOST_TEST(error_of(7, 0xff, ~std::uint64_t{0}).starts_with("no error"));
}

BOOST_AUTO_TEST_CASE(a_length_that_no_memory_could_hold_is_refused) {
    const auto header = make_frame_header(FrameKind::task, 1, ~std::uint64_t{0});
    FrameReader reader(~std::uint64_t{0});
    reader.feed(header);
    BOOST_CHECK_THROW(static_cast<void>(reader.next()), SerializationError);
}

BOOST_AUTO_TEST_CASE(memory_follows_what_arrives_not_what_is_announced) {
    const auto header = make_frame_header(FrameKind::task, 1, std::uint64_t{1} << 39);
    FrameReader reader;
    reader.feed(header);
    BOOST_TEST(!reader.next().has_value());
    std::size_t received = header.size();
    while (received < std::size_t{4} * 1024 * 1024) {
        const auto room = reader.prepare();
        BOOST_REQUIRE(received + room.size() <= 4 * received + FrameReader::read_step);
        reader.commit(room.size());
        received += room.size();
        BOOST_TEST(!reader.next().has_value());
    }
}

BOOST_AUTO_TEST_CASE(a_large_payload_arrives_and_its_buffer_is_given_back) {
    const Bytes payload(FrameReader::kept_capacity + 12345, std::byte{0x5a});
    Bytes stream;
    append_frame(stream, FrameKind::value, 1, {payload});
    append_frame(stream, FrameKind::stop, 0);
    const auto frames = read_in_pieces(stream, 100'000);
    BOOST_TEST(frames.size() == 2U);
    BOOST_TEST((frames.at(0).payload == payload));

    FrameReader reader;
    reader.feed(stream);
    while (reader.next()) {
    }
    BOOST_TEST(reader.prepare().size() == FrameReader::read_step);
}

BOOST_AUTO_TEST_CASE(many_frames_taken_one_at_a_time_are_not_lost_or_moved_about) {
    FrameReader reader;
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;
    // More arrives than is taken, until the end.
    for (int round = 0; round < 20'000; ++round) {
        Bytes stream;
        append_frame(stream, FrameKind::task, sent++, {view("abc")});
        append_frame(stream, FrameKind::task, sent++);
        reader.feed(stream);
        BOOST_REQUIRE(reader.next()->task_id == taken++);
    }
    while (const auto frame = reader.next()) {
        BOOST_REQUIRE(frame->task_id == taken++);
    }
    BOOST_TEST(taken == sent);
}

BOOST_AUTO_TEST_CASE(random_streams_arrive_whole) {
    const unsigned seed = std::random_device()();
    BOOST_TEST_MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        std::vector<Received> frames;
        for (std::size_t i = random() % 20; i > 0; --i) {
            const std::size_t size = random() % 4 == 0 ? random() % 200'000 : random() % 100;
            frames.push_back(
                {static_cast<FrameKind>(1 + random() % 6),
                 random(),
                 Bytes(size, static_cast<std::byte>(random()))}
            );
        }
        const Bytes stream = stream_of(frames);
        FrameReader reader;
        std::vector<Received> received;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t size =
                std::min<std::size_t>(1 + random() % 70'000, stream.size() - at);
            reader.feed(std::span(stream).subspan(at, size));
            at += size;
            if (random() % 3 != 0) {
                take_all(reader, received);
            }
        }
        take_all(reader, received);
        BOOST_REQUIRE_MESSAGE(received == frames, "seed " << seed << ", round " << round);
    }
}

BOOST_AUTO_TEST_SUITE_END()
