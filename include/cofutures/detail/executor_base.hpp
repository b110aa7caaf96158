#pragma once

#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/state_base.hpp>

#include <boost/asio/any_io_executor.hpp>

namespace cofutures::detail {

/// The part of an executor that takes tasks, whatever calls they are.
class COFUTURES_EXPORT ExecutorBase {
public:
    ExecutorBase(const ExecutorBase&) = delete;
    ExecutorBase& operator=(const ExecutorBase&) = delete;
    virtual ~ExecutorBase();

protected:
    ExecutorBase() = default;

    /// Takes a pending task to run, or throws and leaves it alone. With a full queue it waits for
    /// room, or throws QueueFullError, as the executor was made.
    virtual void enqueue(StatePtr task) = 0;

    /// Takes a pending task if there is room; says whether it did. Otherwise as enqueue().
    ///
    /// The default is for executors without a bound.
    virtual bool try_enqueue(StatePtr task);

    /// Takes a pending task as soon as there is room, after those that wait already.
    ///
    /// @returns A future that ends when the task was taken, or with the reason why it never will
    /// be.
    ///          One that is cancelled meanwhile is not waited for any longer.
    ///
    /// The default is for executors without a bound.
    virtual Future<void> enqueue_when_room(StatePtr task);

    /// A strand of its own for a coroutine that is to be enqueued.
    ///
    /// The default throws SerializationError, as of an executor whose tasks leave the process.
    virtual boost::asio::any_io_executor make_strand();
};

}  // namespace cofutures::detail
