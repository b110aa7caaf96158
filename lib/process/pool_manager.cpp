#include <cofutures/codec.hpp>
#include <cofutures/detail/make_error.hpp>

#include "process/block_reader.hpp"
#include "process/exception_codec.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pool_afterwork.hpp"
#include "process/pool_ahead.hpp"
#include "process/pool_presence.hpp"
#include "process/process_pool.hpp"
#include "process/resident_size.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

namespace cofutures::process {

namespace {

// A worker with more tasks than this does not wait for the next one.
constexpr std::size_t few_tasks = 4;
constexpr std::size_t written_together = 16;

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

}  // namespace

// --- coming and going ---------------------------------------------------------------------------

void ProcessPool::run_manager() noexcept {
    current_ = this;
    try {
        const detail::WorkerContext context(place_);
        // One event is often followed by another, such as a short task's result: looking for it a
        // while costs less than falling asleep and being woken.
        constexpr int looks = 40;
        while (io_->run_one() != 0) {
            for (int look = 0; look < looks; ++look) {
                if (io_->poll() != 0) {
                    look = 0;
                }
                std::this_thread::yield();
            }
        }
    } catch (...) {
        give_up();
    }
    end_channels();  // after giving up
}

// Every worker is gone, and nothing will come.
void ProcessPool::leave() {
    if (const auto presence = presence_.lock()) {
        presence->end();
    }
    let_executor_go();
    finish();
}

// When the pool has given up.
void ProcessPool::end_channels() noexcept {
    decltype(channels_) left;
    std::shared_ptr<Presence> presence;
    {
        const std::lock_guard lock(mutex_);
        left.swap(channels_);
        presence = presence_.lock();
    }
    for (const auto& [worker, connection] : left) {
        connection.channel->end();
    }
    if (presence != nullptr) {
        presence->end();
    }
    let_executor_go();
    finish();
}

// The context is being destroyed, by the calling thread, and with it what waited on it.
void ProcessPool::context_gone() noexcept {
    if (io_) {
        return;  // the pool's own, which has given up, or been left
    }
    decltype(channels_) left;
    {
        const std::lock_guard lock(mutex_);
        if (failure_ == nullptr) {
            failure_ = detail::make_error<BrokenExecutor>("its execution context was destroyed");
        }
        left.swap(channels_);
        started_ = false;  // there is nothing to post to
    }
    for (const auto& [worker, connection] : left) {
        connection.channel->end();
    }
    left.clear();
    let_executor_go();
    give_up(nullptr);
}

// --- time ---------------------------------------------------------------------------------------

void ProcessPool::set_alarm() {
    const auto presence = presence_.lock();
    if (presence == nullptr) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        presence->alarm.expires_at(alarm_);
    }
    presence->alarm.async_wait([this, kept = keep()](boost::system::error_code error) {
        if (!error) {
            alarm_rang();
        }
    });
}

void ProcessPool::alarm_rang() {
    decide([this](PoolActions& actions) {
        alarm_ = TimerQueue::Time::max();
        for (const TimerId timer : timers_.pop(detail::Clock::now())) {
            fsm_.timer_expired(timer, actions);
        }
    });
}

// --- workers ------------------------------------------------------------------------------------

void ProcessPool::start_worker(WorkerId worker) {
    std::shared_ptr<WorkerChannel> channel;
    std::string problem;
    try {
        channel = WorkerChannel::start(executor_, config_.command);
    } catch (const std::exception& error) {
        problem = error.what();
    }
    const bool decided = decide([&](PoolActions& actions) {
        if (channel == nullptr) {
            fsm_.spawn_failed(worker, problem, actions);
        } else {
            channels_.emplace(
                worker,
                Connection{
                    .channel = channel,
                    .ahead = std::make_shared<Ahead>(weak_from_this(), worker, channel->claims()),
                    .pid = channel->pid()}
            );
            fsm_.worker_started(worker, channel->pid(), actions);
            if (!*channel->claims()) {
                fsm_.send_nothing_ahead(worker);
            }
        }
    });
    if (decided && channel != nullptr) {
        channel->listen({
            .received = [this, kept = keep(), worker](FrameReader& reader
                        ) { received(worker, reader); },
            .gone = [this, kept = keep(), worker](const ExitStatus& status
                    ) { gone(worker, status); },
            .output = [this, kept = keep(), id = cofutures::WorkerId{worker, channel->pid()}](
                          bool is_error, std::string_view line
                      ) { wrote({.worker = id, .is_error = is_error, .task = {}, .line = line}); },
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
    flush_late();
}

void ProcessPool::flush_late() noexcept {
    for (const auto& channel : std::exchange(to_flush_late_, {})) {
        channel->flush();
    }
}

void ProcessPool::handle_frame(WorkerId worker, const Frame& frame) {
    switch (frame.kind) {
    case FrameKind::hello: {
        const Hello hello = read_hello(frame.payload);
        require_match(hello, config_.command);
        decide([&](PoolActions& actions) {
            if (const auto found = channels_.find(worker); found != channels_.end()) {
                found->second.pid = hello.pid;
                found->second.has_greeted = true;
            }
            fsm_.worker_arrived(worker, actions);
        });
        break;
    }
    case FrameKind::ready:
        begin_work(worker);
        break;
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

void ProcessPool::begin_work(WorkerId worker) {
    std::int64_t pid = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto found = channels_.find(worker);
        if (found == channels_.end()) {
            return;
        }
        if (!found->second.has_greeted || std::exchange(found->second.is_ready, true)) {
            throw SerializationError("it is ready twice, or before it has said who it is");
        }
        pid = found->second.pid;
    }
    const std::uint64_t resident = config_.max_memory_growth ? resident_size(pid) : 0;
    decide([&](PoolActions& actions) {
        if (const auto found = channels_.find(worker); found != channels_.end()) {
            found->second.first_resident = resident;
        }
        fsm_.worker_ready(worker, actions);
    });
}

void ProcessPool::handle_result(WorkerId worker, const Frame& frame) {
    const bool returned = frame.kind == FrameKind::value;
    const bool outgrown = has_outgrown(worker);
    Entry entry;
    std::shared_ptr<WorkerChannel> channel;
    // A worker without a task gets its next one before this result is looked at. One that has more
    // can wait: what it gets is written together with what its next answers bring it.
    Afterwork afterwork(*this);
    const auto finished = [&](PoolActions& actions) {
        if (const auto found = channels_.find(worker); found != channels_.end()) {
            channel = found->second.channel;
        }
        afterwork.flush_late = fsm_.load(worker) > few_tasks;
        pass_over_cancelled(worker, frame.task_id, actions, afterwork);
        if (!fsm_.runs(worker, frame.task_id)) {
            // It may go on with what it has until it is killed: that must not run elsewhere too.
            fsm_.worker_misbehaved(
                worker, "it answered for a task it did not run", begun_by(worker), actions
            );
            return;
        }
        if (fsm_.task_finished(worker, frame.task_id, frame.run_time, outgrown, actions)) {
            const bool claimed = entries_.at(frame.task_id).claim();
            entry = take_entry(frame.task_id);
            ++(!claimed ? books_.cancelled : returned ? books_.completed : books_.failed);
            if (!claimed) {  // it says that it ran what it was kept from
                afterwork.cancelled.push_back(std::exchange(entry, {}));
            }
        }
    };
    if (decide(finished, afterwork) && afterwork.flush_late) {
        std::ranges::move(afterwork.to_flush, std::back_inserter(to_flush_late_));
        if (to_flush_late_.size() >= written_together) {
            flush_late();
        }
    }
    ResultMemory* const results = channel == nullptr ? nullptr : channel->results();
    if (entry.task != nullptr) {
        BlockReader blocks(results == nullptr ? nullptr : &results->memory());
        finish(entry, frame, blocks);
    }
    if (results != nullptr) {
        results->answer_was_read();
    }
}

// The worker did not begin what was cancelled, perhaps by a thread that has yet to say so here.
// Under the mutex.
void ProcessPool::pass_over_cancelled(
    WorkerId worker, TaskId answered, PoolActions& actions, Afterwork& afterwork
) {
    if (fsm_.runs(worker, answered)) {
        return;
    }
    const std::vector<TaskId> tasks = fsm_.tasks_of(worker);
    if (std::ranges::find(tasks, answered) == tasks.end()) {
        return;
    }
    for (const TaskId task : tasks) {
        if (task == answered || !entries_.at(task).task->is_cancelled_soon()) {
            return;
        }
        fsm_.cancelled_ahead(worker, task, actions);
        afterwork.cancelled.emplace_back();
        afterwork.cancelled.back() = take_entry(task);
        ++books_.cancelled;
    }
}

void ProcessPool::finish(const Entry& entry, const Frame& frame, BlockReader& blocks) {
    const bool returned = frame.kind == FrameKind::value;
    dropped(entry, returned ? TaskOutcome::returned : TaskOutcome::raised);
    if (returned) {
        Decoder decoder(frame.payload, &blocks);
        entry.remote->finish_from(decoder);
        if (entry.task->phase() == detail::Phase::raised) {  // it could not be decoded
            const std::lock_guard lock(mutex_);
            --books_.completed;
            ++books_.failed;
        }
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

bool ProcessPool::has_outgrown(WorkerId worker) {
    if (!config_.max_memory_growth) {
        return false;
    }
    Connection connection;
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = channels_.find(worker); found != channels_.end()) {
            connection = found->second;
        }
    }
    const std::uint64_t now = resident_size(connection.pid);
    return connection.first_resident != 0 && now > connection.first_resident &&
           now - connection.first_resident > *config_.max_memory_growth;
}

void ProcessPool::wrote(WorkerOutput output) {
    std::string task;
    {
        const std::lock_guard lock(mutex_);
        const std::vector<TaskId> tasks = fsm_.tasks_of(output.worker.number);
        const auto found = tasks.empty() ? entries_.end() : entries_.find(tasks.front());
        if (found != entries_.end()) {
            task = found->second.name();
        }
    }
    output.task = task;
    config_.on_worker_output(output);
}

void ProcessPool::misbehaved(WorkerId worker, const std::string& text) {
    decide([&](PoolActions& actions) {
        fsm_.worker_misbehaved(worker, text, begun_by(worker), actions);
    });
}

void ProcessPool::gone(WorkerId worker, const ExitStatus& status) {
    decide([&](PoolActions& actions) {
        fsm_.worker_gone(worker, status, begun_by(worker), actions);
        channels_.erase(worker);
    });
}

// How many of its tasks the worker has begun; it will begin no other. Under the mutex.
std::size_t ProcessPool::begun_by(WorkerId worker) {
    std::vector<TaskId> tasks = fsm_.tasks_of(worker);
    const auto found = channels_.find(worker);
    while (!tasks.empty() && found != channels_.end() &&
           found->second.channel->claims()->prevent(entries_.at(tasks.back()).number)) {
        tasks.pop_back();
    }
    return tasks.size();
}

}  // namespace cofutures::process
