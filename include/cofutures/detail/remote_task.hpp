#pragma once

#include <cofutures/detail/ahead_tasks.hpp>

#include <cstdint>
#include <memory>

namespace cofutures {

class Decoder;
class Encoder;

namespace detail {

struct TaskDescriptor;

/// The face of a task that a process pool sends to a worker instead of running it.
class RemoteTask {
public:
    RemoteTask(const RemoteTask&) = delete;
    RemoteTask& operator=(const RemoteTask&) = delete;

    /// Which code the worker is to run.
    [[nodiscard]] virtual const TaskDescriptor& descriptor() const noexcept = 0;

    /// Address of the function to call; 0 if the descriptor says it all.
    [[nodiscard]] virtual std::uintptr_t function() const noexcept = 0;

    /// Encodes the arguments, then destroys them and the callable. Throws what encoding throws.
    virtual void encode_arguments(Encoder& encoder) = 0;

    /// Decodes the result and ends the future with it, or with the SerializationError. The task was
    /// claimed.
    virtual void finish_from(Decoder& decoder) noexcept = 0;

    /// Where it is while it is sent ahead: the state's, see StateBase::send_ahead().
    struct Ahead {
        std::shared_ptr<AheadTasks> tasks{};
        std::uint64_t number = 0;
        std::uint64_t task = 0;
    };
    Ahead ahead{};

protected:
    RemoteTask() = default;
    ~RemoteTask() = default;
};

}  // namespace detail
}  // namespace cofutures
