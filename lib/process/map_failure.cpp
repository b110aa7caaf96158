#include <cofutures/detail/map_failure.hpp>

#include "process/exception_codec.hpp"
#include "process/message.hpp"

#include <string>
#include <vector>

#include <unistd.h>

namespace cofutures::detail {

void encode_failure(Encoder& encoder, const std::exception_ptr& error, std::string_view task) {
    const std::string where = "in worker " + std::to_string(getpid()) + ", task ";
    std::vector<std::byte> message;
    process::append_message(message, process::capture_failure(error, where + std::string(task)));
    encoder.write(message);
}

std::exception_ptr decode_failure(Decoder& decoder) {
    return process::rebuild(process::read_failure(decoder.read(decoder.remaining())));
}

}  // namespace cofutures::detail
