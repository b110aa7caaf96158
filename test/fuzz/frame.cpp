#include "process/frame.hpp"

#include <cofutures/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace cofutures;
using namespace cofutures::process;

/// Every frame of the stream, written again; ends early where the stream is bad.
std::vector<std::byte> read_and_write(std::span<const std::byte> stream, std::size_t piece) {
    std::vector<std::byte> again;
    FrameReader reader(std::uint64_t{1} << 20);
    try {
        while (!stream.empty()) {
            const auto part = stream.first(std::min(piece, stream.size()));
            stream = stream.subspan(part.size());
            reader.feed(part);
            while (const auto frame = reader.next()) {
                const std::size_t opened = again.size();
                append_frame(again, frame->kind, frame->task_id, {frame->payload});
                set_run_time(again, opened, frame->run_time);
            }
        }
    } catch (const SerializationError&) {
    }
    return again;
}

}  // namespace

/// The first byte says in what pieces the rest arrives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const auto stream = std::as_bytes(std::span(data, size)).subspan(1);
    const auto whole = read_and_write(stream, std::max<std::size_t>(stream.size(), 1));
    const auto pieces = read_and_write(stream, std::size_t{1} + data[0]);
    if (whole != pieces || !std::ranges::equal(whole, stream.first(whole.size()))) {
        std::abort();
    }
    return 0;
}
