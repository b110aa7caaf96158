#include "process/process_pool.hpp"

#include <cofutures/codec.hpp>

#include "process/exception_codec.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pipe_io.hpp"

#include <boost/asio/post.hpp>
#include <boost/assert.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace cofutures::process {

namespace {

template <class... Fns>
struct Overloaded : Fns... {
    using Fns::operator()...;
};
template <class... Fns>
Overloaded(Fns...) -> Overloaded<Fns...>;

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

void encode_task(detail::RemoteTask& task, std::vector<std::byte>& frame) {
    const std::size_t opened = open_frame(frame, FrameKind::task, 0);
    append_message(
        frame,
        {.ref = make_task_ref(task.descriptor(), task.function()),
         .name = task.descriptor().name,
         .arguments = {}}
    );
    Encoder encoder(frame);
    task.encode_arguments(encoder);
    close_frame(frame, opened);
}

// Another program may have another build id: each task says which library it is in. See image.hpp.
void require_match(const Hello& hello, const WorkerCommand& command) {
    if (hello.version != protocol_version) {
        throw SerializationError(
            "the worker's program was built with another version of cofutures: it speaks "
            "protocol " +
            std::to_string(hello.version) + ", this one " + std::to_string(protocol_version)
        );
    }
    if (command.program == own_program && hello.build_id != build_id()) {
        throw SerializationError(
            "the worker runs another build of the program; start workers from the same one"
        );
    }
}

// Ids are given under the pool's mutex, arguments encoded before it is taken.
void set_task_id(std::vector<std::byte>& frame, TaskId id) {
    const FrameHeader header =
        make_frame_header(FrameKind::task, id, frame.size() - frame_header_size);
    std::copy(header.begin(), header.end(), frame.begin());
}

// A BrokenProcessPool with the cause nested; the cause alone if there is no memory for more.
std::exception_ptr broken_by(const std::exception_ptr& cause) noexcept {
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        try {
            std::throw_with_nested(BrokenProcessPool("The process pool itself failed"));
        } catch (...) {
            return std::current_exception();
        }
    }
}

}  // namespace

constinit thread_local const ProcessPool* ProcessPool::current_ = nullptr;

std::exception_ptr ProcessPool::Breakage::make_error() const noexcept {
    try {
        if (worker.pid == 0) {
            throw BrokenProcessPool(message);
        }
        throw BrokenProcessPool(message, worker);
    } catch (...) {
        return std::current_exception();
    }
}

void ProcessPool::Entry::fail(std::exception_ptr error) const noexcept {
    if (!task->abandon(error) && task->running()) {
        task->finish_with_error(std::move(error));
    }
}

// Collected under the mutex. Futures are ended when this object goes, which is declared before the
// lock.
class ProcessPool::Afterwork {
public:
    Afterwork() = default;
    Afterwork(const Afterwork&) = delete;
    Afterwork& operator=(const Afterwork&) = delete;

    ~Afterwork() {
        for (const Entry& entry : cancelled) {
            entry.task->cancel();
        }
        for (const Entry& entry : failed) {
            entry.fail(breakage->make_error());
        }
    }

    /// Comes before the end of futures: workers have something to do while callbacks run here.
    void flush() const {
        for (const auto& channel : to_flush) {
            channel->flush();
        }
    }

    std::vector<std::shared_ptr<WorkerChannel>> to_flush;
    std::vector<Entry> cancelled;
    std::vector<Entry> failed;
    std::shared_ptr<const Breakage> breakage;  // there if an entry failed
};

ProcessPool::ProcessPool(Config config)
    : config_(std::move(config)), fsm_({.max_workers = config_.max_workers}) {}

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

// Gives an event to the state machine, under the mutex, and performs what it wants. False if the
// pool has given up, before or just now.
template <class Decide>
bool ProcessPool::decide(Decide decide) noexcept {
    Afterwork afterwork;
    try {
        {
            const std::lock_guard lock(mutex_);
            if (failure_ != nullptr) {
                return false;
            }
            PoolActions actions;
            decide(actions);
            perform(actions, afterwork);
        }
        afterwork.flush();
        return true;
    } catch (...) {
        give_up();
        return false;
    }
}

// In a catch handler, with whatever was being decided or done left half done. Allocates nothing
// that it cannot do without, as it may be memory that ran out.
void ProcessPool::give_up() noexcept {
    std::unordered_map<TaskId, Entry> entries;
    std::exception_ptr failure;
    {
        const std::lock_guard lock(mutex_);
        if (failure_ == nullptr) {
            failure_ = std::current_exception();
        }
        failure = failure_;
        entries.swap(entries_);
        work_.reset();
    }
    io_.stop();  // the manager goes, and takes the workers with it
    for (const auto& [id, entry] : entries) {
        entry.fail(broken_by(failure));
    }
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
                    std::vector<std::byte> frame;
                    append_frame(frame, FrameKind::stop, 0);
                    channel->enqueue(std::move(frame));
                    afterwork.to_flush.push_back(channel);
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
                    afterwork.breakage = breakage_;
                    take_entry(fail.task, afterwork.failed);
                },
                [&](const CancelTask& cancel) { take_entry(cancel.task, afterwork.cancelled); },
                [this](const PoolFinished&) { work_.reset(); },
            },
            action
        );
    }
}

void ProcessPool::perform_send(const SendTask& action, PoolActions& actions, Afterwork& afterwork) {
    Entry& entry = entries_.at(action.task);
    if (!entry.task->try_claim()) {  // cancelled meanwhile
        entries_.erase(action.task);
        fsm_.task_finished(action.worker, action.task, actions);
        return;
    }
    const auto& channel = channels_.at(action.worker);
    channel->enqueue(std::exchange(entry.frame, {}));
    afterwork.to_flush.push_back(channel);
}

void ProcessPool::perform_break(const BreakPool& action) {
    Breakage breakage{.message = reason_text(action), .worker = {}};
    breakage.worker = make_worker_exit(
        action.pid,
        action.exit,
        action.task ? entries_.at(*action.task).remote->descriptor().name : ""
    );
    breakage_ = std::make_shared<const Breakage>(std::move(breakage));
}

void ProcessPool::take_entry(TaskId task, std::vector<Entry>& to) {
    const auto found = entries_.find(task);
    BOOST_ASSERT(found != entries_.end());
    to.emplace_back();  // may throw, and then the entry is still in the table
    to.back() = std::move(found->second);
    entries_.erase(found);
}

// --- what the executor calls --------------------------------------------------------------------

void ProcessPool::submit(detail::StatePtr task) {
    detail::RemoteTask* remote = task->remote();
    if (remote == nullptr) {
        throw SerializationError(
            "the call cannot be sent to a worker process: it must be a function or a callable "
            "without "
            "captures, its arguments and result values of types that have a codec"
        );
    }
    std::vector<std::byte> frame;
    std::exception_ptr unencodable;
    try {
        encode_task(*remote, frame);
    } catch (...) {
        unencodable = std::current_exception();
    }
    std::exception_ptr refusal;
    decide([&](PoolActions& actions) {
        try {
            require_open();
            if (unencodable) {
                return;
            }
            start_manager();
        } catch (...) {
            refusal = std::current_exception();
            return;
        }
        const TaskId id = next_task_++;
        set_task_id(frame, id);
        Entry& entry = entries_[id];  // may throw, and then the task is still the caller's
        entry = {.task = std::move(task), .remote = remote, .frame = std::move(frame)};
        fsm_.submitted(id, actions);
    });
    if (refusal) {
        std::rethrow_exception(refusal);
    }
    if (unencodable) {
        task->abandon(unencodable);
    } else if (task) {  // the pool had given up
        const std::lock_guard lock(mutex_);
        require_open();
    }
}

// Under the mutex.
void ProcessPool::require_open() const {
    if (failure_) {
        std::rethrow_exception(broken_by(failure_));
    }
    if (breakage_) {
        std::rethrow_exception(breakage_->make_error());
    }
    if (fsm_.is_shut_down()) {
        throw ShutdownError();
    }
}

// Under the mutex.
void ProcessPool::start_manager() {
    if (!manager_.joinable()) {
        const AllSignalsBlocked inherited;
        if (!work_) {  // else it is there since no thread could be started
            work_.emplace(io_.get_executor());
        }
        manager_ = std::thread([self = shared_from_this()]() mutable { self->run_manager(); });
    }
}

void ProcessPool::shutdown(bool wait, bool cancel_pending) {
    if (wait && runs_this_thread()) {
        throw DeadlockError("shutdown(wait=true) was called inside a callback of the same process "
                            "pool, which would "
                            "wait for itself; call shutdown(false) there");
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

// --- what happens on the manager thread
// -----------------------------------------------------------

void ProcessPool::run_manager() noexcept {
    current_ = this;
    try {
        // One event is often followed by another, such as a short task's result: looking for it a
        // while costs less than falling asleep and being woken.
        constexpr int looks = 40;
        while (io_.run_one() != 0) {
            for (int look = 0; look < looks; ++look) {
                if (io_.poll() != 0) {
                    look = 0;
                }
                std::this_thread::yield();
            }
        }
    } catch (...) {
        give_up();
    }
    decltype(channels_) left;  // after giving up
    {
        const std::lock_guard lock(mutex_);
        left.swap(channels_);
    }
    for (const auto& [worker, channel] : left) {
        channel->end();
    }
}

void ProcessPool::start_worker(WorkerId worker) {
    std::shared_ptr<WorkerChannel> channel;
    std::string problem;
    try {
        channel = WorkerChannel::start(io_.get_executor(), config_.command);
    } catch (const std::exception& error) {
        problem = error.what();
    }
    const bool decided = decide([&](PoolActions& actions) {
        if (channel == nullptr) {
            fsm_.spawn_failed(worker, problem, actions);
        } else {
            channels_.emplace(worker, channel);
            fsm_.worker_started(worker, channel->pid(), actions);
        }
    });
    if (decided && channel != nullptr) {
        channel->listen({
            .received = [this, worker](FrameReader& reader) { received(worker, reader); },
            .gone = [this, worker](const ExitStatus& status) { gone(worker, status); },
            .output =
                [this, worker, pid = channel->pid()](bool is_error, std::string_view line) {
                    wrote(
                        {.worker = {.number = worker, .pid = pid},
                         .is_error = is_error,
                         .task = {},
                         .line = line},
                        worker
                    );
                },
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
        require_match(hello, config_.command);
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
    case FrameKind::init:
        throw SerializationError("a frame that only the pool may send");
    }
}

void ProcessPool::handle_result(WorkerId worker, const Frame& frame) {
    std::vector<Entry> ended;
    // The worker gets its next task before this result is looked at.
    decide([&](PoolActions& actions) {
        if (fsm_.task_finished(worker, frame.task_id, actions)) {
            take_entry(frame.task_id, ended);
        }
    });
    if (ended.empty()) {
        return;
    }
    const Entry& entry = ended.front();
    if (frame.kind == FrameKind::value) {
        Decoder decoder(frame.payload);
        entry.remote->finish_from(decoder);
        return;
    }
    std::exception_ptr error;
    try {
        error = rebuild(read_failure(frame.payload));
    } catch (...) {
        error = std::current_exception();
    }
    entry.task->finish_with_error(std::move(error));
}

void ProcessPool::wrote(WorkerOutput output, WorkerId worker) {
    std::string task;
    {
        const std::lock_guard lock(mutex_);
        const auto running = fsm_.running_task(worker);
        const auto found = running ? entries_.find(*running) : entries_.end();
        if (found != entries_.end()) {
            task = found->second.remote->descriptor().name;
        }
    }
    output.task = task;
    config_.on_worker_output(output);
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
