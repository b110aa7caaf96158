#pragma once

#include <cofutures/export.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

/// @file
/// Every exception that the library itself throws. `catch (cofutures::Error&)` catches them all;
/// what a task throws comes back as the task's own type and is never one of these by accident.

namespace cofutures {

/// Root of the library's exceptions.
///
/// @python  concurrent.futures.Error; here it is also the base of the timeout, shutdown and broken
///          errors, which Python derives from TimeoutError and RuntimeError.
class COFUTURES_EXPORT Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    Error(const Error&) = default;
    Error& operator=(const Error&) = default;
    ~Error() override;
};

/// The future was cancelled before its work began.
///
/// @python  CancelledError.
class COFUTURES_EXPORT CancelledError : public Error {
public:
    CancelledError();
    using Error::Error;
    CancelledError(const CancelledError&) = default;
    CancelledError& operator=(const CancelledError&) = default;
    ~CancelledError() override;
};

/// A wait ran out of time; what was waited for goes on.
///
/// @python  TimeoutError. Difference: a task that throws a timeout of its own cannot be mistaken
/// for
///          it, as this type belongs to the library's waits alone.
class COFUTURES_EXPORT TimeoutError : public Error {
public:
    TimeoutError();
    using Error::Error;
    TimeoutError(const TimeoutError&) = default;
    TimeoutError& operator=(const TimeoutError&) = default;
    ~TimeoutError() override;
};

/// The call does not fit the state: a result set twice, an empty handle used, a moved-out value
/// read.
///
/// @python  InvalidStateError.
class COFUTURES_EXPORT InvalidStateError : public Error {
public:
    using Error::Error;
    InvalidStateError(const InvalidStateError&) = default;
    InvalidStateError& operator=(const InvalidStateError&) = default;
    ~InvalidStateError() override;
};

/// Work was given to an executor that has been shut down.
///
/// @python  the bare RuntimeError("cannot schedule new futures after shutdown"), same text.
class COFUTURES_EXPORT ShutdownError : public Error {
public:
    ShutdownError();
    using Error::Error;
    ShutdownError(const ShutdownError&) = default;
    ShutdownError& operator=(const ShutdownError&) = default;
    ~ShutdownError() override;
};

/// A bounded queue has no room, and the executor was made with `OnFull::reject`.
///
/// @python  queue.Full, which no executor of Python has a use for.
class COFUTURES_EXPORT QueueFullError : public Error {
public:
    QueueFullError();
    using Error::Error;
    QueueFullError(const QueueFullError&) = default;
    QueueFullError& operator=(const QueueFullError&) = default;
    ~QueueFullError() override;
};

/// The wait, or the shutdown, could never end: it waits for the very thread or task that waits. Or
/// the wait has come to be such a one: what it waits for destroys the pool of the task that waits;
/// then a wait throws that had begun, and one in a destructor ends the program.
///
/// @python  none: Python hangs.
class COFUTURES_EXPORT DeadlockError : public Error {
public:
    using Error::Error;
    DeadlockError(const DeadlockError&) = default;
    DeadlockError& operator=(const DeadlockError&) = default;
    ~DeadlockError() override;
};

/// The executor cannot run work any more, or dropped the work it had.
///
/// @python  BrokenExecutor.
class COFUTURES_EXPORT BrokenExecutor : public Error {
public:
    using Error::Error;
    BrokenExecutor(const BrokenExecutor&) = default;
    BrokenExecutor& operator=(const BrokenExecutor&) = default;
    ~BrokenExecutor() override;
};

/// A thread's initializer failed; its exception is nested (`std::rethrow_if_nested`).
///
/// @python  BrokenThreadPool.
class COFUTURES_EXPORT BrokenThreadPool : public BrokenExecutor {
public:
    using BrokenExecutor::BrokenExecutor;
    BrokenThreadPool(const BrokenThreadPool&) = default;
    BrokenThreadPool& operator=(const BrokenThreadPool&) = default;
    ~BrokenThreadPool() override;
};

/// How a worker process ended, and what it was doing.
struct COFUTURES_EXPORT WorkerExit {
    /// Process id of the worker; 0 when it never started.
    std::int64_t pid = 0;
    /// Its exit code, if it exited.
    std::optional<int> exit_code;
    /// The signal that ended it, if one did.
    std::optional<int> signal;
    /// Name of the task that it was running; empty when it was idle.
    std::string task;
    /// Whether the system ended it because memory ran out. Known only where control groups count
    /// such ends.
    bool oom_killed = false;
    /// The last lines, 4 KiB at most, of its error stream; empty unless the pool reads that, as it
    /// does for ProcessPoolOptions::on_worker_output.
    std::string stderr_tail{};
    /// Which run of that task it was, from 1 on; 0 when it was idle.
    int attempt = 0;

    /// Says it in words, such as `worker 4711 was ended by signal 9 (Killed) while running
    /// "resize"`, and below, if something is known of it, what it wrote last. Without an exit code
    /// and a signal only which worker it was, as of one that is to blame and had not ended.
    [[nodiscard]] std::string describe() const;
};

/// A worker process ended although nobody asked it to, and the pool gave up.
///
/// Each future that was pending has an exception object of its own.
///
/// @python  BrokenProcessPool, with the cause's text in the message.
class COFUTURES_EXPORT BrokenProcessPool : public BrokenExecutor {
public:
    using BrokenExecutor::BrokenExecutor;
    /// @param worker  The worker that ended; its description is appended to `message`.
    BrokenProcessPool(const std::string& message, WorkerExit worker);
    BrokenProcessPool(const BrokenProcessPool&) = default;
    BrokenProcessPool& operator=(const BrokenProcessPool&) = default;
    ~BrokenProcessPool() override;

    /// The worker whose end broke the pool; all fields empty if it broke otherwise.
    [[nodiscard]] const WorkerExit& worker() const noexcept { return worker_; }

private:
    WorkerExit worker_;
};

/// An exception thrown in a worker process whose type this process cannot rebuild: one that is none
/// of those which ProcessPoolExecutor names, and that register_exception() was not called for.
///
/// `what()` is the original text.
///
/// @python  the original exception with `_RemoteTraceback` as its cause.
class COFUTURES_EXPORT RemoteError : public Error {
public:
    using Error::Error;
    /// @param what          The original exception's text.
    /// @param type_name     Its type, as the worker's compiler spells it.
    /// @param remote_trace  Text that says where it happened, one line for each nested exception.
    RemoteError(const std::string& what, std::string type_name, std::string remote_trace);
    RemoteError(const RemoteError&) = default;
    RemoteError& operator=(const RemoteError&) = default;
    ~RemoteError() override;

    /// The original type's name, such as `app::ParseError`; "unknown" if it was no std::exception.
    [[nodiscard]] const std::string& type_name() const noexcept { return type_name_; }
    /// Which worker and task it came from, and the exceptions nested in it, a line each.
    [[nodiscard]] const std::string& remote_trace() const noexcept { return remote_trace_; }

private:
    std::string type_name_ = "unknown";
    std::string remote_trace_;
};

/// An argument, a result or a frame cannot be encoded or decoded.
///
/// @python  pickle.PicklingError and pickle.UnpicklingError.
class COFUTURES_EXPORT SerializationError : public Error {
public:
    using Error::Error;
    SerializationError(const SerializationError&) = default;
    SerializationError& operator=(const SerializationError&) = default;
    ~SerializationError() override;
};

/// A worker was asked for a task that its program does not hold.
///
/// @python  the AttributeError of unpickling a function that the worker's module lacks.
class COFUTURES_EXPORT UnknownTaskError : public Error {
public:
    using Error::Error;
    UnknownTaskError(const UnknownTaskError&) = default;
    UnknownTaskError& operator=(const UnknownTaskError&) = default;
    ~UnknownTaskError() override;
};

/// A task overran `TaskOptions::timeout` and its worker was killed.
///
/// @python  none.
class COFUTURES_EXPORT TaskTimeoutError : public Error {
public:
    using Error::Error;
    TaskTimeoutError(const TaskTimeoutError&) = default;
    TaskTimeoutError& operator=(const TaskTimeoutError&) = default;
    ~TaskTimeoutError() override;
};

/// The worker that ran this task ended; the pool replaced it and goes on.
///
/// @python  none: there the whole pool breaks.
class COFUTURES_EXPORT WorkerDiedError : public Error {
public:
    using Error::Error;
    /// @param worker  The worker that ended; its description is appended to `message`.
    WorkerDiedError(const std::string& message, WorkerExit worker);
    WorkerDiedError(const WorkerDiedError&) = default;
    WorkerDiedError& operator=(const WorkerDiedError&) = default;
    ~WorkerDiedError() override;

    /// The worker that ended.
    [[nodiscard]] const WorkerExit& worker() const noexcept { return worker_; }

private:
    WorkerExit worker_;
};

}  // namespace cofutures
