#pragma once

#include "process/exception_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cofutures::process {

/// Changes whenever a frame or a message changes.
constexpr std::uint32_t protocol_version = 4;

/// First word of a worker.
struct Hello {
    std::uint32_t version = protocol_version;
    /// Says whether both sides run the same program, as only then they agree on its types and
    /// tasks.
    std::string build_id;
    std::int64_t pid = 0;
};

/// Where a task's code is, in terms that hold wherever the program is loaded.
struct TaskRef {
    /// File of the module that holds the task's entry; empty for the program itself.
    std::string module;
    std::uint64_t offset = 0;
    /// What must stand there for the entry to be the one that is meant.
    std::uint64_t check = 0;
    /// The same for a plain function that the entry calls; zero if there is none.
    std::string function_module;
    std::uint64_t function_offset = 0;

    bool operator==(const TaskRef&) const = default;
};

/// A call to make.
struct TaskMessage {
    TaskRef ref;
    std::string name;
    /// The encoded arguments: the rest of the payload, not copied.
    std::span<const std::byte> arguments;
};

/// First word of a pool.
struct Init {
    std::uint32_t version = protocol_version;
    /// Of the pool's program.
    std::string build_id{};
    /// Whether the worker is meant to run the very program of the pool.
    bool is_own_program = true;
    /// Whether the pool reads what the worker writes to its standard streams.
    bool captures_output = false;
    /// The call to make before the first task.
    std::optional<TaskMessage> initializer{};
};

/// @name Writing
/// Appends a message's bytes, to be a frame's payload.
/// @{
void append_message(std::vector<std::byte>& out, const Hello& hello);
void append_message(std::vector<std::byte>& out, const Failure& failure);
void append_message(std::vector<std::byte>& out, const Init& init);
/// `message.arguments` may be left empty and appended by the caller.
void append_message(std::vector<std::byte>& out, const TaskMessage& message);
/// @}

/// @name Reading
/// Reads a frame's payload.
/// @throws SerializationError  if it is no such message.
/// @{
[[nodiscard]] Hello read_hello(std::span<const std::byte> payload);
[[nodiscard]] Failure read_failure(std::span<const std::byte> payload);
/// The arguments are a view of `payload`. Of another version only the version is read.
[[nodiscard]] Init read_init(std::span<const std::byte> payload);
/// The arguments are a view of `payload`.
[[nodiscard]] TaskMessage read_task(std::span<const std::byte> payload);
/// @}

}  // namespace cofutures::process
