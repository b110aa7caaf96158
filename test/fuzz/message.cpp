#include "process/message.hpp"

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

/// What can be read is written as the same bytes again.
template <class Read>
void check(std::span<const std::byte> input, Read read) {
    try {
        std::vector<std::byte> again;
        append_message(again, read(input));
        if (!std::equal(input.begin(), input.end(), again.begin(), again.end())) {
            std::abort();
        }
    } catch (const SerializationError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = std::as_bytes(std::span(data, size));
    check(input, read_hello);
    check(input, read_task);
    check(input, [](std::span<const std::byte> bytes) {
        Init init = read_init(bytes);
        if (init.version != protocol_version) {
            throw SerializationError("nothing else was read");
        }
        return init;
    });
    check(input, [](std::span<const std::byte> bytes) {
        Failure failure = read_failure(bytes);
        if (!rebuild(failure)) {
            std::abort();
        }
        return failure;
    });
    return 0;
}
