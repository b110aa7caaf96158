#include "process/process_pool.hpp"

#include <cofutures/codec.hpp>
#include <cofutures/task_options.hpp>

#include "core/wait_for_room.hpp"
#include "core/wait_graph.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pipe_io.hpp"
#include "process/pool_afterwork.hpp"
#include "process/pool_presence.hpp"

#include <boost/assert.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace cofutures::process {

namespace {

// What is larger is not kept to be sent again, and so not sent ahead.
constexpr std::size_t light_frame_bytes = std::size_t{16} << 10;

void encode_task(
    detail::RemoteTask& task,
    const std::string& name,
    std::vector<std::byte>& frame,
    MessageBlocks& blocks
) {
    const std::size_t opened = open_frame(frame, FrameKind::task, 0);
    append_message(
        frame,
        {.ref = make_task_ref(task.descriptor(), task.function()), .name = name, .arguments = {}}
    );
    Encoder encoder(frame, &blocks);
    task.encode_arguments(encoder);
    close_frame(frame, opened);
}

// Ids are given under the pool's mutex, arguments encoded before it is taken.
void set_task_id(std::vector<std::byte>& frame, TaskId id) {
    const FrameHeader header =
        make_frame_header(FrameKind::task, id, frame.size() - frame_header_size);
    std::copy(header.begin(), header.end(), frame.begin());
}

TaskKind kind_of(const detail::RemoteTask& task) noexcept {
    // One descriptor may stand for any function of a type.
    return reinterpret_cast<std::uintptr_t>(&task.descriptor()) ^ (task.function() << 1U);
}

// What the decisions depend on that the options do not say.
ProcessPool::Config complete(ProcessPool::Config config) {
    // An observer wants to hear when a task begins, and memory is looked at between tasks.
    if (config.observer || config.max_memory_growth) {
        config.decisions.window = 1;
    }
    return config;
}

}  // namespace

constinit thread_local const ProcessPool* ProcessPool::current_ = nullptr;

std::string ProcessPool::Entry::name() const {
    const TaskOptions* const options = task->options();
    return options != nullptr && !options->name.empty() ? std::string(options->name)
                                                        : std::string(remote->descriptor().name);
}

ProcessPool::ProcessPool(Config config)
    : config_(complete(std::move(config))), fsm_(config_.decisions) {
    detail::FutureAccess::state(finished_future()).set_place(&place_.end());
}

ProcessPool::~ProcessPool() {
    BOOST_ASSERT_MSG(entries_.empty(), "the executor shuts down before it lets go of the pool");
    // Left only if the executor was destroyed inside a callback: the manager is what ends here.
    if (manager_.get_id() == std::this_thread::get_id()) {
        manager_.detach();
    } else if (manager_.joinable()) {
        manager_.join();
    }
}

// Under the mutex, before anything waits on it.
void ProcessPool::make_executor() {
    if (executor_) {
        return;
    }
    if (config_.executor) {
        const std::lock_guard lock(strand_mutex_);
        executor_ = strand_.emplace(*config_.executor);
    } else {
        executor_ = io_.emplace(1).get_executor();
    }
}

void ProcessPool::let_executor_go() noexcept {
    if (io_) {
        return;
    }
    boost::asio::any_io_executor executor;  // to be destroyed without the mutexes
    std::optional<boost::asio::strand<boost::asio::any_io_executor>> strand;
    const std::lock_guard lock(mutex_);
    const std::lock_guard lock_strand(strand_mutex_);
    executor.swap(executor_);
    strand.swap(strand_);
}

bool ProcessPool::runs_this_thread() const noexcept {
    const auto on_strand = [this] {
        const std::lock_guard lock(strand_mutex_);
        return strand_ && strand_->running_in_this_thread();
    };
    return current_ == this || on_strand() || (config_.runs_executor && config_.runs_executor());
}

// --- submitting ---------------------------------------------------------------------------------

void ProcessPool::submit(detail::StatePtr task) {
    check_process();
    const bool bounded = config_.decisions.max_queue != PoolFsmConfig::unlimited;
    // The manager must not wait for what it has to bring about itself.
    if (!bounded || (config_.on_full == OnFull::block && runs_this_thread())) {
        std::exception_ptr unencodable;
        Entry entry = prepare(std::move(task), unencodable);
        offer(entry, unencodable, WhenFull::go_over);
    } else if (config_.on_full == OnFull::reject) {
        if (!try_submit(std::move(task))) {
            throw QueueFullError();
        }
    } else {
        const Future<void> taken = submit_when_room(task);
        detail::wait_for_room(taken, *task, place_);
    }
}

bool ProcessPool::try_submit(detail::StatePtr task) {
    check_process();
    if (!has_room()) {  // before anything is encoded
        return false;
    }
    std::exception_ptr unencodable;
    Entry entry = prepare(std::move(task), unencodable);
    return offer(entry, unencodable, WhenFull::say_so);
}

Future<void> ProcessPool::submit_when_room(detail::StatePtr task) {
    check_process();
    std::exception_ptr unencodable;
    Entry entry = prepare(std::move(task), unencodable);
    Waiting waiting;
    auto taken = waiting.taken.get_future();
    if (unencodable || offer(entry, nullptr, WhenFull::say_so)) {
        if (unencodable) {
            offer(entry, unencodable, WhenFull::go_over);
        }
        waiting.taken.set_result();
        return taken;
    }
    {
        const std::lock_guard lock(mutex_);
        require_open();
        entry.traits.id = next_task_++;
    }
    queued(entry);
    std::exception_ptr refusal;
    const Entry told{.task = entry.task, .remote = entry.remote, .traits = entry.traits};
    const bool decided = decide([&](PoolActions& actions) {
        try {
            require_open();
        } catch (...) {
            refusal = std::current_exception();
            return;
        }
        const TaskId id = entry.traits.id;
        set_task_id(entry.frame, id);
        Waiting& place = waiting_[id];
        waiting.entry = std::move(entry);
        place = std::move(waiting);
        place.entry.task->set_place(&place_);
        watch(id, place.entry);
        fsm_.wait_for_room(place.entry.traits, actions);
    });
    if (!decided && !refusal) {
        const std::lock_guard lock(mutex_);
        require_open();
    }
    if (refusal) {
        dropped(told, TaskOutcome::cancelled);
        std::rethrow_exception(refusal);
    }
    return taken;
}

// Encodes the task, or says why it cannot be.
ProcessPool::Entry ProcessPool::prepare(detail::StatePtr task, std::exception_ptr& unencodable) {
    Entry entry;
    entry.remote = task->remote();
    if (entry.remote == nullptr) {
        throw SerializationError(
            "the call cannot be sent to a worker process: it must be a function or a callable "
            "without "
            "captures, its arguments and result values of types that have a codec"
        );
    }
    entry.task = std::move(task);
    if (const TaskOptions* const options = entry.task->options(); options != nullptr) {
        entry.traits.priority = options->priority;
        entry.traits.retries = options->retries;
        entry.traits.timeout = options->timeout.value_or(std::chrono::nanoseconds::zero());
    }
    entry.traits.kind = kind_of(*entry.remote);
    try {
        MessageBlocks blocks(config_.command.arena);
        encode_task(*entry.remote, entry.name(), entry.frame, blocks);
        if (!blocks.empty()) {
            entry.blocks = std::make_unique<MessageBlocks>(std::move(blocks));
        }
        entry.traits.light = entry.frame.size() <= light_frame_bytes;
    } catch (...) {
        unencodable = std::current_exception();
    }
    return entry;
}

// Tells the observer of a task before any worker can have it; false if there is no room.
bool ProcessPool::announce(Entry& entry, WhenFull when_full) {
    {
        const std::lock_guard lock(mutex_);
        require_open();
        if (when_full == WhenFull::say_so && !fsm_.has_room()) {
            return false;
        }
        entry.traits.id = next_task_++;
    }
    queued(entry);
    return true;
}

// Takes the task, or throws and leaves it alone; false if there is no room.
bool ProcessPool::offer(Entry& entry, std::exception_ptr unencodable, WhenFull when_full) {
    const detail::StatePtr task = entry.task;
    std::exception_ptr refusal;
    Admission admission = Admission::refused;
    bool taken = false;
    const bool observed = config_.observer != nullptr;
    if (observed && !announce(entry, when_full)) {
        return false;
    }
    Entry refused{.task = entry.task, .remote = entry.remote, .traits = entry.traits};
    const bool decided = decide([&](PoolActions& actions) {
        try {
            require_open();
            if (unencodable) {
                ++books_.submitted;
                ++books_.failed;
                admission = Admission::taken;
                return;
            }
            if (when_full == WhenFull::say_so && !fsm_.has_room()) {
                admission = Admission::full;
                return;
            }
            start();
        } catch (...) {
            refusal = std::current_exception();
            return;
        }
        const TaskId id = observed ? entry.traits.id : next_task_++;
        entry.traits.id = id;
        set_task_id(entry.frame, id);
        Entry& place = entries_[id];  // may throw, and then the task is still the caller's
        place = std::move(entry);
        taken = true;
        place.task->set_place(&place_);
        watch(id, place);
        ++books_.submitted;
        const bool over = when_full == WhenFull::go_over;
        admission = fsm_.submitted(place.traits, over, actions);
        if (admission != Admission::taken) {
            --books_.submitted;
            entry = take_entry(id);
        }
    });
    if (admission == Admission::taken || (taken && !decided)) {
        if (unencodable) {
            if (observed) {
                dropped(refused, TaskOutcome::raised);
            }
            task->abandon(unencodable);
        }
        return true;
    }
    if (observed) {
        dropped(refused, TaskOutcome::cancelled);
    }
    if (refusal) {
        std::rethrow_exception(refusal);
    }
    if (!decided) {  // it has given up
        const std::lock_guard lock(mutex_);
        require_open();
    }
    return false;
}

bool ProcessPool::has_room() const {
    const std::lock_guard lock(mutex_);
    require_open();
    return fsm_.has_room();
}

// Before the mutex, which may be locked for good.
void ProcessPool::check_process() const {
    if (!home_.is_here()) {
        throw BrokenProcessPool(
            "the process pool belongs to the process that made it, and so do its workers: a forked "
            "child must not use them; make another pool in the child, or fork before the pool is "
            "made"
        );
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

// Under the mutex, with the first task.
void ProcessPool::start() {
    if (started_) {
        return;
    }
    auto presence = presence_.lock();
    if (presence == nullptr) {  // else it is there since no thread could be started
        try {
            make_executor();
            presence = Presence::begin(*this);
        } catch (const boost::system::system_error& error) {
            throw std::system_error(error.code(), "a process pool cannot start");
        }
        presence_ = presence;
    }
    if (io_) {
        const AllSignalsBlocked inherited;
        manager_ = std::thread([self = shared_from_this()]() mutable { self->run_manager(); });
    }
    started_ = true;
}

// --- the end ------------------------------------------------------------------------------------

void ProcessPool::shutdown(bool wait, bool cancel_pending) {
    if (wait) {
        shutdown_until(std::nullopt, cancel_pending);
    } else {
        check_process();
        decide([&](PoolActions& actions) { fsm_.shutdown(cancel_pending, actions); });
    }
}

bool ProcessPool::shutdown_until(const detail::Deadline& deadline, bool cancel_pending) {
    check_process();
    if (runs_this_thread() && !is_finished_) {
        throw DeadlockError(
            "a process pool was shut down, with waiting, on the thread that is to end it: inside a "
            "callback of the pool, or on a thread that runs its io_context; call shutdown(false) "
            "or async_shutdown() there"
        );
    }
    decide([&](PoolActions& actions) { fsm_.shutdown(cancel_pending, actions); });
    if (!detail::FutureAccess::state(finished_future()).wait(deadline)) {
        return false;
    }
    join_manager();
    return true;
}

void ProcessPool::shutdown_for_good() noexcept {
    decide([&](PoolActions& actions) { fsm_.shutdown(false, actions); });
    detail::wait_for_end(detail::FutureAccess::state(finished_future()));
    join_manager();
}

void ProcessPool::join_manager() noexcept {
    const std::lock_guard lock(join_mutex_);
    if (manager_.joinable() && manager_.get_id() != std::this_thread::get_id()) {
        manager_.join();
    }
}

Future<void> ProcessPool::begin_shutdown(bool cancel_pending) {
    check_process();
    auto finished = finished_future();
    decide([&](PoolActions& actions) { fsm_.shutdown(cancel_pending, actions); });
    return finished;
}

void ProcessPool::terminate(bool force) {
    check_process();
    decide([&](PoolActions& actions) { fsm_.terminate(force, actions); });
}

Future<void> ProcessPool::finished_future() const {
    return finished_.get_future();
}

void ProcessPool::finish() noexcept {
    if (!is_finished_.exchange(true)) {
        end(finished_, nullptr);
    }
}

// Whoever waits may have cancelled the future.
void ProcessPool::end(Promise<void>& promise, std::exception_ptr error) noexcept {
    try {
        if (error != nullptr) {
            promise.set_exception(std::move(error));
        } else {
            promise.set_result();
        }
    } catch (const InvalidStateError&) {
        return;
    }
}

// --- asking and telling -------------------------------------------------------------------------

ExecutorStats ProcessPool::stats() const {
    check_process();
    const std::lock_guard lock(mutex_);
    ExecutorStats stats = books_;
    stats.worker_deaths = fsm_.worker_deaths();
    stats.retries = fsm_.retries();
    if (failure_) {
        return stats;
    }
    stats.workers = fsm_.workers();
    stats.idle = fsm_.idle();
    stats.running = fsm_.running();
    stats.queued = entries_.size() - stats.running;
    // One that was cancelled stays in the queue until it is its turn.
    for (const auto& [id, entry] : entries_) {
        if (entry.task->cancelled()) {
            --stats.queued;
            ++stats.cancelled;
        }
    }
    return stats;
}

std::vector<pid_t> ProcessPool::worker_pids() const {
    check_process();
    const std::lock_guard lock(mutex_);
    std::vector<pid_t> pids;
    pids.reserve(channels_.size());
    for (const auto& [worker, connection] : channels_) {
        pids.push_back(static_cast<pid_t>(connection.channel->pid()));
    }
    return pids;
}

void ProcessPool::queued(const Entry& entry) const noexcept {
    if (config_.observer) {
        const std::string name = entry.name();
        config_.observer->task_queued(
            {.task = entry.traits.id,
             .name = name,
             .worker = {},
             .time = std::chrono::steady_clock::now()}
        );
    }
}

// A task has ended, or will when this returns.
void ProcessPool::dropped(const Entry& entry, TaskOutcome outcome) const noexcept {
    if (config_.observer) {
        const std::string name = entry.name();
        const std::string worker = entry.pid == 0 ? "" : "worker " + std::to_string(entry.pid);
        config_.observer->task_finished(
            {.task = entry.traits.id,
             .name = name,
             .worker = worker,
             .time = std::chrono::steady_clock::now()},
            outcome
        );
    }
}

}  // namespace cofutures::process
