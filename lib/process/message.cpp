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

Hello read_hello(std::span<const std::byte> payload) {
    return read_all<Hello>(payload);
}

Failure read_failure(std::span<const std::byte> payload) {
    return read_all<Failure>(payload);
}

TaskMessage read_task(std::span<const std::byte> payload) {
    Decoder decoder(payload);
    auto ref = decode<TaskRef>(decoder);
    auto name = decode<std::string>(decoder);
    return {
        .ref = std::move(ref),
        .name = std::move(name),
        .arguments = decoder.read(decoder.remaining()),
    };
}

}  // namespace cofutures::process
