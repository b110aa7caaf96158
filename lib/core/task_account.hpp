#pragma once

#include <cofutures/detail/state_base.hpp>

#include <memory>

namespace cofutures::detail {

/// Who counts what becomes of an executor's tasks, and is told when those that it marked begin and
/// end.
///
/// A task that was taken ends in one of three ways: it begins and ends, is cancelled, or is lost.
/// Each is told before anybody can see it by the task's future.
class TaskAccount {
public:
    TaskAccount(const TaskAccount&) = delete;
    TaskAccount& operator=(const TaskAccount&) = delete;

    /// A marked task begins on the calling thread.
    virtual void begun(StateBase& task) noexcept = 0;

    /// A watched task has ended on the calling thread, and its future is about to.
    virtual void ended(StateBase& task, bool failed) noexcept = 0;

    /// A task that left the worker which began it has ended; for those that workers count.
    virtual void ended_elsewhere(bool /*failed*/) noexcept {}

    /// A task was cancelled. Under its lock bit: no lock may be taken, nor foreign code called.
    ///
    /// @returns What room_made() is to be called on when the bit is free; null for nothing.
    virtual std::shared_ptr<TaskAccount> cancelled() noexcept = 0;
    virtual void room_made() noexcept {}

    /// A task that has not begun is about to end with an error. By the executor itself.
    virtual void lost(StateBase& task) noexcept = 0;

protected:
    TaskAccount() = default;
    virtual ~TaskAccount() = default;
};

}  // namespace cofutures::detail
