#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/place_on.hpp>
#include <cofutures/detail/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

template <class AsioExecutor>
inline constexpr bool is_strand = false;
template <class AsioExecutor>
inline constexpr bool is_strand<boost::asio::strand<AsioExecutor>> = true;

/// A call that is a coroutine: it is begun as any other task is, and then goes on as Asio resumes
/// it.
///
/// `run()` calls the function, spawns the coroutine that it gives, and returns when that first
/// waits; the future stays running. A request to stop reaches the coroutine as a terminal
/// cancellation too. All of it - the spawning, each part of the coroutine, its cancellation and its
/// end - happens on one strand, as Asio asks for: cancellation signals have no lock.
///
/// Callable and arguments live until the coroutine has ended, as it may refer to them.
///
/// @tparam AsioExecutor  The executor type of the awaitable.
template <class AsioExecutor, class T, class Fn, class... Args>
class CoroutineTask : public StoredCall<true, T, Fn, Args...> {
    using Base = StoredCall<true, T, Fn, Args...>;

public:
    using Base::Base;

    using coroutine_executor = AsioExecutor;

    /// Says where the coroutine runs, before the task is submitted.
    ///
    /// @param strand  Runs one thing at a time.
    void spawn_on(AsioExecutor strand) { strand_.emplace(std::move(strand)); }

    void run() noexcept override {
        StateBase* outer = nullptr;
        if (!this->begin_run(outer)) {
            return;
        }
        const boost::intrusive_ptr<CoroutineTask> self(this);
        const AsioExecutor strand = *strand_;  // the end takes the member away
        const TaskPlace* const place = place_on(strand);
        try {
            boost::asio::dispatch(strand, Begin(self));
        } catch (...) {
            // What was to be dispatched has been destroyed, and has ended the future.
        }
        this->leave_run(outer, place);
    }

protected:
    ~CoroutineTask() override = default;

private:
    using Awaitable = boost::asio::awaitable<T, AsioExecutor>;

    /// What the strand runs first. Dropped, it ends the future.
    class Begin {
    public:
        explicit Begin(boost::intrusive_ptr<CoroutineTask> task) noexcept
            : task_(std::move(task)) {}
        Begin(Begin&&) noexcept = default;
        Begin& operator=(Begin&&) = delete;
        ~Begin() {
            if (task_ != nullptr) {
                task_->drop();
            }
        }

        void operator()() { std::exchange(task_, nullptr)->begin(); }

    private:
        boost::intrusive_ptr<CoroutineTask> task_;
    };

    /// The completion handler of the coroutine. Dropped, it ends the future.
    class End {
    public:
        explicit End(CoroutineTask& task) noexcept : task_(&task) {}
        End(End&&) noexcept = default;
        End& operator=(End&&) = delete;
        ~End() {
            if (task_ != nullptr) {
                task_->drop();
            }
        }

        void operator()(std::exception_ptr error) {
            std::exchange(task_, nullptr)->end(std::move(error));
        }

    private:
        boost::intrusive_ptr<CoroutineTask> task_;
    };

    /// Called by who asks to stop, on any thread.
    struct Cancel {
        CoroutineTask& task;

        void operator()() const noexcept {
            run_reporting_errors([this] {
                boost::asio::post(
                    *task.strand_,
                    [self = boost::intrusive_ptr<CoroutineTask>(&task)] {
                        if (!self->done()) {
                            self->signal_.emit(boost::asio::cancellation_type::terminal);
                        }
                    }
                );
            });
        }
    };

    /// Keeps the result. A coroutine of its own, as T may be anything, while Asio's handlers take
    /// only what can be made without a value.
    static boost::asio::awaitable<void, AsioExecutor> keep(CoroutineTask& task, Awaitable call) {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(call);
        } else {
            decltype(auto) value = co_await std::move(call);
            task.store_result_of([&]() -> T { return static_cast<T&&>(value); });
        }
        task.returned_ = true;
    }

    void begin() noexcept {
        try {
            const AsioExecutor strand = *strand_;
            on_stop_.emplace(this->stop_token(), Cancel{*this});
            auto coroutine = keep(*this, this->call());
            boost::asio::co_spawn(
                strand,
                std::move(coroutine),
                boost::asio::bind_cancellation_slot(
                    signal_.slot(), boost::asio::bind_executor(strand, End(*this))
                )
            );
        } catch (...) {
            if (!this->done()) {
                end(std::current_exception());
            }
        }
    }

    void end(std::exception_ptr error) noexcept {
        on_stop_.reset();        // first: what it calls needs the strand
        signal_.slot().clear();  // it holds the strand too, and a future may outlive its context
        destroy_work();
        this->end_elsewhere(error != nullptr);
        if (error) {
            this->finish_with_error(std::move(error));
        } else {
            this->finish_with_value();
        }
    }

    void drop() noexcept {
        end(returned_
                ? nullptr
                : make_error<BrokenExecutor>("abandoned: the Asio executor dropped the coroutine"));
    }

    void destroy_work() noexcept override {
        strand_.reset();
        Base::destroy_work();
    }

    std::optional<AsioExecutor> strand_;  // until the callable is destroyed
    boost::asio::cancellation_signal signal_;
    std::optional<std::stop_callback<Cancel>> on_stop_;
    bool returned_ = false;
};

/// Whether a task is a coroutine, which wants to know where to run.
template <class TaskType>
concept CoroutineTaskType = requires {
    typename TaskType::coroutine_executor;
};

/// A strand of an executor, as a coroutine's executor type; the executor itself if it is one, or
/// cannot be told from one.
template <class CoroutineExecutor, class AsioExecutor>
CoroutineExecutor strand_of(const AsioExecutor& executor) {
    using Strand = boost::asio::strand<AsioExecutor>;
    if constexpr (std::is_convertible_v<Strand, CoroutineExecutor> && !is_strand<AsioExecutor>) {
        return Strand(executor);
    } else {
        return CoroutineExecutor(executor);
    }
}

}  // namespace cofutures::detail
