#include "process/frame.hpp"

#include <cofutures/error.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace cofutures::process {

namespace {

constexpr std::size_t task_id_offset = 8;
constexpr std::size_t kind_offset = 16;
constexpr std::size_t reserved_offset = 17;
constexpr std::size_t run_time_offset = 20;

template <class Number>
void store(std::byte* out, Number number) noexcept {
    for (std::size_t i = 0; i < sizeof(number); ++i) {
        out[i] = static_cast<std::byte>(number >> (8 * i));
    }
}

template <class Number>
Number load(const std::byte* in) noexcept {
    Number number = 0;
    for (std::size_t i = 0; i < sizeof(number); ++i) {
        number |= std::to_integer<Number>(in[i]) << (8 * i);
    }
    return number;
}

/// Gives the payload's length after checking all that can be wrong with a header.
std::size_t check_header(const std::byte* header, std::uint64_t max_payload) {
    const auto kind = std::to_integer<std::uint8_t>(header[kind_offset]);
    if (kind < static_cast<std::uint8_t>(FrameKind::hello) ||
        kind > static_cast<std::uint8_t>(FrameKind::ready)) {
        throw SerializationError("bad frame: unknown kind " + std::to_string(kind));
    }
    const bool is_answer = kind == static_cast<std::uint8_t>(FrameKind::value) ||
                           kind == static_cast<std::uint8_t>(FrameKind::failure);
    const std::size_t reserved_end = is_answer ? run_time_offset : frame_header_size;
    if (!std::all_of(header + reserved_offset, header + reserved_end, [](std::byte byte) {
            return byte == std::byte{};
        })) {
        throw SerializationError("bad frame: reserved bytes are in use");
    }
    const auto size = load<std::uint64_t>(header);
    const std::uint64_t addressable = std::numeric_limits<std::size_t>::max() - frame_header_size;
    if (size > std::min(max_payload, addressable)) {
        throw SerializationError(
            "bad frame: a payload of " + std::to_string(size) + " bytes, " +
            std::to_string(max_payload) + " are allowed"
        );
    }
    return static_cast<std::size_t>(size);
}

}  // namespace

FrameHeader
make_frame_header(FrameKind kind, std::uint64_t task_id, std::uint64_t payload_size) noexcept {
    FrameHeader header{};
    store<std::uint64_t>(header.data(), payload_size);
    store<std::uint64_t>(header.data() + task_id_offset, task_id);
    header[kind_offset] = static_cast<std::byte>(kind);
    return header;
}

void append_frame(
    std::vector<std::byte>& out,
    FrameKind kind,
    std::uint64_t task_id,
    std::initializer_list<std::span<const std::byte>> payload
) {
    const std::size_t opened = open_frame(out, kind, task_id);
    for (const auto piece : payload) {
        out.insert(out.end(), piece.begin(), piece.end());
    }
    close_frame(out, opened);
}

std::size_t open_frame(std::vector<std::byte>& out, FrameKind kind, std::uint64_t task_id) {
    const std::size_t opened = out.size();
    const FrameHeader header = make_frame_header(kind, task_id, 0);
    out.insert(out.end(), header.begin(), header.end());
    return opened;
}

void close_frame(std::vector<std::byte>& out, std::size_t opened) noexcept {
    assert(opened + frame_header_size <= out.size());
    store<std::uint64_t>(out.data() + opened, out.size() - opened - frame_header_size);
}

void set_run_time(
    std::vector<std::byte>& out, std::size_t opened, std::chrono::nanoseconds run_time
) noexcept {
    assert(opened + frame_header_size <= out.size());
    constexpr std::chrono::nanoseconds longest{std::numeric_limits<std::uint32_t>::max()};
    const auto count = std::clamp(run_time, std::chrono::nanoseconds::zero(), longest).count();
    store(out.data() + opened + run_time_offset, static_cast<std::uint32_t>(count));
}

std::span<std::byte> FrameReader::prepare(std::size_t least) {
    assert(least != 0);
    if (begin_ == end_) {
        begin_ = end_ = 0;
        if (capacity_ > kept_capacity) {
            buffer_.reset();
            capacity_ = 0;
        }
    } else if (begin_ >= capacity_ / 2) {
        // Only now: so no more is moved than was taken since the last move.
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (capacity_ - end_ < least) {
        grow(least);
    }
    return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::commit(std::size_t size) noexcept {
    assert(size <= capacity_ - end_);
    end_ += size;
}

void FrameReader::feed(std::span<const std::byte> bytes) {
    if (bytes.empty()) {
        return;
    }
    const auto room = prepare(bytes.size());
    std::memcpy(room.data(), bytes.data(), bytes.size());
    commit(bytes.size());
}

std::optional<Frame> FrameReader::next() {
    const std::size_t received = end_ - begin_;
    const std::byte* const header = buffer_.get() + begin_;
    if (frame_size_ == 0) {
        if (received < frame_header_size) {
            return std::nullopt;
        }
        frame_size_ = frame_header_size + check_header(header, max_payload_);
    }
    if (received < frame_size_) {
        return std::nullopt;
    }
    const Frame frame{
        .kind = static_cast<FrameKind>(header[kind_offset]),
        .task_id = load<std::uint64_t>(header + task_id_offset),
        .run_time = std::chrono::nanoseconds(load<std::uint32_t>(header + run_time_offset)),
        .payload = {header + frame_header_size, frame_size_ - frame_header_size},
    };
    begin_ += frame_size_;
    frame_size_ = 0;
    return frame;
}

void FrameReader::grow(std::size_t least) {
    const std::size_t received = end_ - begin_;
    const std::size_t useful = frame_size_ > received
                                   ? std::min(frame_size_, growth_factor * received + read_step)
                                   : 2 * received;
    const std::size_t capacity = std::max({received + least, useful, read_step});
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (received != 0) {
        std::memcpy(buffer.get(), buffer_.get() + begin_, received);
    }
    buffer_ = std::move(buffer);
    capacity_ = capacity;
    begin_ = 0;
    end_ = received;
}

}  // namespace cofutures::process
