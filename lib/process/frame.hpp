#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace cofutures::process {

/// What a frame is about. The numbers are what travels.
enum class FrameKind : std::uint8_t {
    hello = 1,        ///< worker: I have come to freeze_support(); payload: Hello
    task = 2,         ///< pool: run this; payload: TaskMessage
    value = 3,        ///< worker: the task returned; payload: its encoded value
    failure = 4,      ///< worker: the task threw; payload: Failure
    init_failed = 5,  ///< worker: my initializer threw, I leave; payload: Failure
    stop = 6,         ///< pool: finish what you have and leave; no payload
    init = 7,         ///< pool: what you need to know before you work; payload: Init
    ready = 8,        ///< worker: my initializer has run; no payload
};

/// Every frame begins with this many bytes, little-endian: u64 payload length, u64 task id, u8
/// kind, three zeros that are free for later versions, and u32 run time, which only answers have.
constexpr std::size_t frame_header_size = 24;

using FrameHeader = std::array<std::byte, frame_header_size>;

/// Makes the header of a frame whose payload is sent from where it lies.
///
/// @param task_id  The task that the frame is about; zero if none.
[[nodiscard]] FrameHeader
make_frame_header(FrameKind kind, std::uint64_t task_id, std::uint64_t payload_size) noexcept;

/// Appends a whole frame, its payload being the pieces one after another.
void append_frame(
    std::vector<std::byte>& out,
    FrameKind kind,
    std::uint64_t task_id,
    std::initializer_list<std::span<const std::byte>> payload = {}
);

/// Begins a frame whose payload the caller appends to `out` next.
///
/// @returns What `close_frame` wants.
[[nodiscard]] std::size_t
open_frame(std::vector<std::byte>& out, FrameKind kind, std::uint64_t task_id);

/// Ends the frame that `open_frame` began: all that was appended since is its payload.
void close_frame(std::vector<std::byte>& out, std::size_t opened) noexcept;

/// Writes into an answer how long the task ran; what is longer than the field holds is cut.
///
/// @param opened  What `open_frame` gave.
void set_run_time(
    std::vector<std::byte>& out, std::size_t opened, std::chrono::nanoseconds run_time
) noexcept;

/// A frame as received.
struct Frame {
    FrameKind kind;
    std::uint64_t task_id;
    std::chrono::nanoseconds run_time;
    /// Valid until the reader's next `prepare`, `feed` or destruction.
    std::span<const std::byte> payload;
};

/// Cuts a stream of bytes, however it is split, into frames. It does no I/O:
///
///     auto room = reader.prepare();
///     reader.commit(read(fd, room.data(), room.size()));
///     while (auto frame = reader.next()) { ... }
///
/// Nothing that the peer sends is trusted. A header is judged as soon as it is complete, and memory
/// follows the bytes received, not the length announced: at most four times what has arrived, plus
/// `read_step`. A payload that outgrows the buffer is moved when the buffer grows, by a factor of
/// four, so that all moves together copy less than half of it.
class FrameReader {
public:
    /// Size of the buffer when nothing is known of what comes.
    static constexpr std::size_t read_step = std::size_t{64} * 1024;
    /// A drained buffer larger than this is given back.
    static constexpr std::size_t kept_capacity = std::size_t{8} * 1024 * 1024;
    static constexpr std::uint64_t default_max_payload = std::uint64_t{1} << 40;

    /// @param max_payload  A frame that announces more is refused.
    explicit FrameReader(std::uint64_t max_payload = default_max_payload) noexcept
        : max_payload_(max_payload) {}

    /// Gives memory to receive into: at least `least` bytes, which is not zero, and as much more as
    /// the buffer has. The payloads that `next` gave become invalid.
    [[nodiscard]] std::span<std::byte> prepare(std::size_t least = 1);

    /// Says that the first `size` bytes of what `prepare` gave have been received.
    void commit(std::size_t size) noexcept;

    /// Receives a copy of `bytes`: `prepare` and `commit` in one.
    void feed(std::span<const std::byte> bytes);

    /// Takes the next frame; empty when it is not complete yet.
    ///
    /// @throws SerializationError  if the header is none: kind unknown, reserved bytes in use,
    ///                             payload longer than allowed. The stream is lost, every further
    ///                             call throws again.
    [[nodiscard]] std::optional<Frame> next();

    /// Whether part of a frame has arrived: an end of the stream is now an accident.
    [[nodiscard]] bool in_frame() const noexcept { return begin_ != end_; }

private:
    static constexpr std::size_t growth_factor = 4;

    void grow(std::size_t least);

    std::uint64_t max_payload_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_ = 0;
    // What has been received and not yet taken is [begin_, end_).
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    // Of the frame that begins at begin_, header included; zero until its header is complete.
    std::size_t frame_size_ = 0;
};

}  // namespace cofutures::process
