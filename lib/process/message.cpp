#include "process/message.hpp"

#include <cofutures/codec.hpp>

namespace cofutures::process {

namespace {

template <class Message>
Message read_all(std::span<const std::byte> payload) {
    Decoder decoder(payload);
    auto message = decode<Message>(decoder);
    decoder.expect_end();
    return message;
}

TaskMessage read_rest(Decoder& decoder) {
    auto ref = decode<TaskRef>(decoder);
    auto name = decode<std::string>(decoder);
    return {
        .ref = std::move(ref),
        .name = std::move(name),
        .arguments = decoder.read(decoder.remaining()),
    };
}

}  // namespace

void append_message(std::vector<std::byte>& out, const Hello& hello) {
    Encoder encoder(out);
    encode(encoder, hello);
}

void append_message(std::vector<std::byte>& out, const Failure& failure) {
    Encoder encoder(out);
    encode(encoder, failure);
}

void append_message(std::vector<std::byte>& out, const TaskMessage& message) {
    Encoder encoder(out);
    encode(encoder, message.ref);
    encode(encoder, message.name);
    encoder.write(message.arguments);
}

void append_message(std::vector<std::byte>& out, const Init& init) {
    Encoder encoder(out);
    encode(encoder, init.version);
    encode(encoder, init.build_id);
    encode(encoder, init.is_own_program);
    encode(encoder, init.captures_output);
    encode(encoder, init.initializer.has_value());
    if (init.initializer) {
        append_message(out, *init.initializer);
    }
}

Hello read_hello(std::span<const std::byte> payload) {
    return read_all<Hello>(payload);
}

Failure read_failure(std::span<const std::byte> payload) {
    return read_all<Failure>(payload);
}

Init read_init(std::span<const std::byte> payload) {
    Decoder decoder(payload);
    Init init;
    init.version = decode<std::uint32_t>(decoder);
    if (init.version != protocol_version) {
        return init;
    }
    init.build_id = decode<std::string>(decoder);
    init.is_own_program = decode<bool>(decoder);
    init.captures_output = decode<bool>(decoder);
    if (decode<bool>(decoder)) {
        init.initializer = read_rest(decoder);
    }
    decoder.expect_end();
    return init;
}

TaskMessage read_task(std::span<const std::byte> payload) {
    Decoder decoder(payload);
    return read_rest(decoder);
}

}  // namespace cofutures::process
