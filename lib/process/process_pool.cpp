#include "process/process_pool.hpp"

#include <cofutures/codec.hpp>

#include "process/exception_codec.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pipe_io.hpp"

#include <boost/assert.hpp>
#include <boost/asio/post.hpp>
#include <boost/core/demangle.hpp>

#include <typeinfo>
#include <utility>
#include <variant>

namespace cofutures::process {

namespace {

template <class... Fns>
struct Overloaded : Fns... {
    using Fns::operator()...;
};

std::string reason_text(const BreakPool& action) {
    std::string text;
    switch (action.reason) {
    case BreakReason::worker_died:
        text = "A process in the process pool was terminated abruptly while the future was running "
               "or pending";
        break;
    case BreakReason::worker_misbehaved:
        text = "A worker process sent what no worker sends";
        break;
    case BreakReason::initializer_failed:
        text = "A process initializer failed, the process pool is not usable anymore";
        break;
    case BreakReason::spawn_failed:
        text = "A worker process could not be started";
        break;
    case BreakReason::terminated:
        text = "The workers were terminated";
        break;
    }
    return action.text.empty() ? text : text + ": " + action.text;
}

}  // namespace

constinit thread_local const ProcessPool* ProcessPool::current_ = nullptr;

std::exception_ptr ProcessPool::Breakage::make_error() const {
    if (worker.pid == 0) {
        return std::make_exception_ptr(BrokenProcessPool(message));
    }
    return std::make_exception_ptr(BrokenProcessPool(message, worker));
}

// Collected under the mutex, done when this object goes, which is declared before the lock.
class ProcessPool::Afterwork {
public:
    Afterwork() = default;
    Afterwork(const Afterwork&) = delete;
    Afterwork& operator=(const Afterwork&) = delete;

    // Workers first: they have something to do while callbacks run here.
    ~Afterwork() {
        for (const auto& channel : to_flush_) {
            channel->flush();
        }
        for (const Entry& entry : cancelled_) {
            entry.task->cancel();
        }
        for (auto& [entry, error] : failed_) {
            if (!entry.task->abandon(error) && entry.task->running()) {
                entry.task->finish_with_error(std::move(error));
            }
        }
    }

    void flush(std::shared_ptr<WorkerChannel> channel) { to_flush_.push_back(std::move(channel)); }
    void cancel(Entry entry) { cancelled_.push_back(std::move(entry)); }
    void fail(Entry entry, std::exception_ptr error) {
        failed_.emplace_back(std::move(entry), std::move(error));
    }

private:
    std::vector<std::shared_ptr<WorkerChannel>> to_flush_;
    std::vector<Entry> cancelled_;
    std::vector<std::pair<Entry, std::exception_ptr>> failed_;
};

ProcessPool::ProcessPool(Config config)
    : config_(std::move(config)),
      fsm_({.max_workers = config_.max_workers}) {}

ProcessPool::~ProcessPool() {
    BOOST_ASSERT_MSG(entries_.empty(), "the executor shuts down before it lets go of the pool");
    // Left only if the executor was destroyed inside a callback: the manager is what ends here.
    if (manager_.get_id() == std::this_thread::get_id()) {
        manager_.detach();
    } else if (manager_.joinable()) {
        manager_.join();
    }
}

// --- deciding -----------------------------------------------------------------------------------

// Gives an event to the state machine, under the mutex, and performs what it wants.
template <class Decide>
void ProcessPool::decide(Decide decide) {
    Afterwork afterwork;
    const std::lock_guard lock(mutex_);
    PoolActions actions;
    decide(actions);
    perform(actions, afterwork);
}

void ProcessPool::perform(PoolActions& actions, Afterwork& afterwork) {
    // Performing may append: a task that turns out to be cancelled makes room for another.
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const PoolAction action = actions[i];
        std::visit(
            Overloaded{
                [this](const SpawnWorker& spawn) {
                    boost::asio::post(io_, [this, worker = spawn.worker] { start_worker(worker); });
                },
                [&](const SendTask& send) { perform_send(send, actions, afterwork); },
                [&](const StopWorker& stop) {
                    const auto& channel = channels_.at(stop.worker);
                    channel->enqueue([](std::vector<std::byte>& out) {
                        append_frame(out, FrameKind::stop, 0);
                    });
                    afterwork.flush(channel);
                },
                [this](const KillWorker& kill) {
                    if (const auto found = channels_.find(kill.worker); found != channels_.end()) {
                        boost::asio::post(io_, [channel = found->second, force = kill.force] {
                            channel->kill(force);
                        });
                    }
                },
                [this](const BreakPool& broken) { perform_break(broken); },
                [&](const FailTask& fail) {
                    afterwork.fail(take_entry(fail.task), breakage_->make_error());
                },
                [&](const CancelTask& cancel) { afterwork.cancel(take_entry(cancel.task)); },
                [this](const PoolFinished&) { work_.reset(); },
            },
            action
        );
    }
}

void ProcessPool::perform_send(
    const SendTask& action, PoolActions& actions, Afterwork& afterwork
) {
    Entry& entry = entries_.at(action.task);
    if (!entry.task->try_claim()) {  // cancelled meanwhile
        entries_.erase(action.task);
        fsm_.task_finished(action.worker, action.task, actions);
        return;
    }
    const auto& channel = channels_.at(action.worker);
    channel->enqueue([&](std::vector<std::byte>& out) {
        append_frame(out, FrameKind::task, action.task, {entry.message});
    });
    entry.message = {};
    afterwork.flush(channel);
}

void ProcessPool::perform_break(const BreakPool& action) {
    Breakage breakage{.message = reason_text(action), .worker = {}, .cause = nullptr};
    breakage.worker.pid = action.pid;
    breakage.worker.exit_code = action.exit.exit_code;
    breakage.worker.signal = action.exit.signal;
    if (action.task) {
        breakage.worker.task = entries_.at(*action.task).remote->descriptor().name;
    }
    breakage_ = std::move(breakage);
}

ProcessPool::Entry ProcessPool::take_entry(TaskId task) {
    const auto found = entries_.find(task);
    BOOST_ASSERT(found != entries_.end());
    Entry entry = std::move(found->second);
    entries_.erase(found);
    return entry;
}

// --- what the executor calls --------------------------------------------------------------------

void ProcessPool::submit(detail::StatePtr task) {
    detail::RemoteTask* remote = task->remote();
    if (remote == nullptr) {
        throw SerializationError(
            "the call cannot be sent to a worker process: it must be a function or a callable without "
            "captures, its arguments and result values of types that have a codec"
        );
    }
    std::vector<std::byte> message;
    try {
        append_message(
            message,
            {.ref = make_task_ref(remote->descriptor(), remote->function()),
             .name = remote->descriptor().name,
             .arguments = {}}
        );
        Encoder encoder(message);
        remote->encode_arguments(encoder);
    } catch (...) {
        task->abandon(std::current_exception());
        return;
    }

    Afterwork afterwork;
    const std::lock_guard lock(mutex_);
    if (breakage_) {
        std::rethrow_exception(breakage_->make_error());
    }
    PoolActions actions;
    const TaskId id = next_task_++;
    if (!fsm_.submitted(id, actions)) {
        throw ShutdownError();
    }
    entries_.emplace(id, Entry{std::move(task), remote, std::move(message)});
    if (!manager_.joinable()) {
        work_.emplace(io_.get_executor());
        manager_ = std::thread([self = shared_from_this()]() mutable { self->run_manager(); });
    }
    perform(actions, afterwork);
}

void ProcessPool::shutdown(bool wait, bool cancel_pending) {
    if (wait && runs_this_thread()) {
        throw DeadlockError(
            "shutdown(wait=true) was called inside a callback of the same process pool, which would "
            "wait for itself; call shutdown(false) there"
        );
    }
    decide([&](PoolActions& actions) { fsm_.shutdown(cancel_pending, actions); });
    if (wait) {
        const std::lock_guard lock(join_mutex_);
        if (manager_.joinable()) {
            manager_.join();
        }
    }
}

void ProcessPool::terminate(bool force) {
    decide([&](PoolActions& actions) { fsm_.terminate(force, actions); });
}

std::vector<pid_t> ProcessPool::worker_pids() const {
    const std::lock_guard lock(mutex_);
    std::vector<pid_t> pids;
    pids.reserve(channels_.size());
    for (const auto& [worker, channel] : channels_) {
        pids.push_back(static_cast<pid_t>(channel->pid()));
    }
    return pids;
}

// --- what happens on the manager thread -----------------------------------------------------------

void ProcessPool::run_manager() noexcept {
    current_ = this;
    block_all_signals();
    io_.run();
}

void ProcessPool::start_worker(WorkerId worker) {
    std::shared_ptr<WorkerChannel> channel;
    std::string problem;
    try {
        channel = WorkerChannel::start(io_.get_executor(), config_.command);
    } catch (const std::exception& error) {
        problem = error.what();
    }
    decide([&](PoolActions& actions) {
        if (channel == nullptr) {
            fsm_.spawn_failed(worker, problem, actions);
        } else {
            channels_.emplace(worker, channel);
            fsm_.worker_started(worker, channel->pid(), actions);
        }
    });
    if (channel != nullptr) {
        channel->listen({
            .received = [this, worker](FrameReader& reader) { received(worker, reader); },
            .gone = [this, worker](const ExitStatus& status) { gone(worker, status); },
        });
    }
}

void ProcessPool::received(WorkerId worker, FrameReader& reader) {
    try {
        while (const auto frame = reader.next()) {
            handle_frame(worker, *frame);
        }
    } catch (const SerializationError& error) {
        misbehaved(worker, error.what());
    }
}

void ProcessPool::handle_frame(WorkerId worker, const Frame& frame) {
    switch (frame.kind) {
    case FrameKind::hello: {
        const Hello hello = read_hello(frame.payload);
        if (hello.version != protocol_version || hello.build_id != build_id()) {
            throw SerializationError(
                "the worker runs another build of the program; start workers from the same one"
            );
        }
        decide([&](PoolActions& actions) { fsm_.worker_ready(worker, actions); });
        break;
    }
    case FrameKind::value:
    case FrameKind::failure:
        handle_result(worker, frame);
        break;
    case FrameKind::init_failed: {
        const Failure failure = read_failure(frame.payload);
        decide([&](PoolActions& actions) {
            fsm_.initializer_failed(worker, failure.type_name + ": " + failure.what, actions);
        });
        break;
    }
    case FrameKind::task:
    case FrameKind::stop:
        throw SerializationError("a frame that only the pool may send");
    }
}

void ProcessPool::handle_result(WorkerId worker, const Frame& frame) {
    std::optional<Entry> entry;
    // The worker gets its next task before this result is looked at.
    decide([&](PoolActions& actions) {
        if (fsm_.task_finished(worker, frame.task_id, actions)) {
            entry = take_entry(frame.task_id);
        }
    });
    if (!entry) {
        return;
    }
    if (frame.kind == FrameKind::value) {
        Decoder decoder(frame.payload);
        entry->remote->finish_from(decoder);
        return;
    }
    std::exception_ptr error;
    try {
        error = rebuild(read_failure(frame.payload));
    } catch (...) {
        error = std::current_exception();
    }
    entry->task->finish_with_error(std::move(error));
}

void ProcessPool::misbehaved(WorkerId worker, const std::string& text) {
    decide([&](PoolActions& actions) { fsm_.worker_misbehaved(worker, text, actions); });
}

void ProcessPool::gone(WorkerId worker, const ExitStatus& status) {
    decide([&](PoolActions& actions) {
        fsm_.worker_gone(worker, status, actions);
        channels_.erase(worker);
    });
}

}  // namespace cofutures::process
