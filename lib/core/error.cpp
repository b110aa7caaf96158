#include <cofutures/error.hpp>

#include <cofutures/version.hpp>

#include <cstring>
#include <utility>

#define COFUTURES_STRINGIZE_(x) #x
#define COFUTURES_STRINGIZE(x) COFUTURES_STRINGIZE_(x)

namespace cofutures {

const char* version() noexcept {
    return COFUTURES_STRINGIZE(COFUTURES_VERSION_MAJOR
    ) "." COFUTURES_STRINGIZE(COFUTURES_VERSION_MINOR
    ) "." COFUTURES_STRINGIZE(COFUTURES_VERSION_PATCH);
}

CancelledError::CancelledError() : Error("the future was cancelled") {}
TimeoutError::TimeoutError() : Error("the wait timed out") {}
QueueFullError::QueueFullError() : Error("the executor's queue is full") {}
ShutdownError::ShutdownError() : Error("cannot schedule new futures after shutdown") {}

// One definition here anchors each type's vtable and type information in the library.
Error::~Error() = default;
CancelledError::~CancelledError() = default;
TimeoutError::~TimeoutError() = default;
InvalidStateError::~InvalidStateError() = default;
ShutdownError::~ShutdownError() = default;
QueueFullError::~QueueFullError() = default;
DeadlockError::~DeadlockError() = default;
BrokenExecutor::~BrokenExecutor() = default;
BrokenThreadPool::~BrokenThreadPool() = default;
BrokenProcessPool::~BrokenProcessPool() = default;
RemoteError::~RemoteError() = default;
SerializationError::~SerializationError() = default;
UnknownTaskError::~UnknownTaskError() = default;
TaskTimeoutError::~TaskTimeoutError() = default;
WorkerDiedError::~WorkerDiedError() = default;

std::string WorkerExit::describe() const {
    std::string text = pid == 0 ? std::string("a worker") : "worker " + std::to_string(pid);
    if (signal) {
        text += " was ended by signal " + std::to_string(*signal);
        if (const char* name = strsignal(*signal)) {  // NOLINT(concurrency-mt-unsafe)
            text += " (" + std::string(name) + ")";
        }
    } else if (exit_code) {
        text += " exited with code " + std::to_string(*exit_code);
    }
    if (oom_killed) {
        text += " because memory ran out,";
    }
    if (!task.empty()) {
        text += " while running \"" + task + "\"";
    } else if (signal || exit_code) {
        text += " while idle";
    }
    if (attempt > 1) {
        text += ", attempt " + std::to_string(attempt);
    }
    if (!stderr_tail.empty()) {
        text += "; the last that it wrote to its error stream:\n" + stderr_tail;
        while (text.back() == '\n') {
            text.pop_back();
        }
    }
    return text;
}

BrokenProcessPool::BrokenProcessPool(const std::string& message, WorkerExit worker)
    : BrokenExecutor(message + ": " + worker.describe()), worker_(std::move(worker)) {}

WorkerDiedError::WorkerDiedError(const std::string& message, WorkerExit worker)
    : Error(message + ": " + worker.describe()), worker_(std::move(worker)) {}

RemoteError::RemoteError(const std::string& what, std::string type_name, std::string remote_trace)
    : Error(what), type_name_(std::move(type_name)), remote_trace_(std::move(remote_trace)) {}

}  // namespace cofutures
