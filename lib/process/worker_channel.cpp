#include "process/worker_channel.hpp"

#include <cofutures/error.hpp>

#include "process/pipe_io.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <span>
#include <utility>

namespace cofutures::process {

using boost::system::error_code;

namespace {

constexpr std::size_t stderr_tail_size = std::size_t{4} * 1024;

}  // namespace

WorkerChannel::WorkerChannel(
    boost::asio::readable_pipe from_worker,
    boost::asio::posix::stream_descriptor to_worker,
    std::shared_ptr<ClaimTable> claims,
    ChildProcess child
)
    : claims_(std::move(claims)),
      to_worker_(std::move(to_worker)),
      from_worker_(std::move(from_worker)),
      child_(std::move(child)) {}

std::shared_ptr<WorkerChannel>
WorkerChannel::start(const boost::asio::any_io_executor& executor, const WorkerCommand& command) {
    Pipe to_worker = make_pipe();
    Pipe from_worker = make_pipe();
    auto [claims, shared_claims] = ClaimTable::make();
    auto results = ResultMemory::make();
    SpawnRequest request = make_request(
        command,
        {.in = to_worker.read_end.get(),
         .out = from_worker.write_end.get(),
         .claims = shared_claims.get(),
         .arguments = command.arena == nullptr ? -1 : command.arena->descriptor(),
         .results = results == nullptr ? -1 : results->memory().descriptor()}
    );
    std::array<Pipe, 2> streams;
    if (command.captures_output) {
        streams = {make_pipe(PipeSize::usual), make_pipe(PipeSize::usual)};
        request.standard_output = streams[0].write_end.get();
        request.standard_error = streams[1].write_end.get();
    }
    for (const int descriptor : {to_worker.write_end.get(), from_worker.read_end.get()}) {
        error_code error;
        set_non_blocking(descriptor, error);
        if (error) {
            throw boost::system::system_error(error, "making a pipe non-blocking");
        }
    }
    ChildProcess child(executor, request);
    boost::asio::readable_pipe reading(executor, from_worker.read_end.get());
    from_worker.read_end.release();
    boost::asio::posix::stream_descriptor writing(executor, to_worker.write_end.get());
    to_worker.write_end.release();
    std::shared_ptr<WorkerChannel> channel(new WorkerChannel(
        std::move(reading),
        std::move(writing),
        std::make_shared<ClaimTable>(std::move(claims)),
        std::move(child)
    ));
    channel->results_ = std::move(results);
    if (command.captures_output) {
        channel->output_ = Output{
            .standard = std::make_shared<OutputReader>(executor, std::move(streams[0].read_end), 0),
            .error = std::make_shared<OutputReader>(
                executor, std::move(streams[1].read_end), stderr_tail_size
            ),
        };
    }
    channel->oom_watch_ = command.oom_watch;
    channel->enqueue(command.first_frame);
    channel->flush();
    return channel;
}

WorkerChannel::~WorkerChannel() {
    if (output_) {
        output_->standard->stop();
        output_->error->stop();
    }
}

void WorkerChannel::listen(Events events) {
    events_ = std::move(events);
    if (output_) {
        output_->standard->listen([this](std::string_view line) { events_.output(false, line); });
        output_->error->listen([this](std::string_view line) { events_.output(true, line); });
    }
    child_.async_wait([self = shared_from_this()](error_code, const ExitStatus& status) {
        self->exited(status);
    });
    read();
}

void WorkerChannel::kill(bool force) noexcept {
    if (ended_) {
        return;
    }
    killed_ = killed_ || force;
    if (!force) {
        child_.kill(SIGCONT);  // it cannot end while it is stopped
    }
    const int signal = force ? SIGKILL : SIGTERM;
    child_.kill_group(signal);
    child_.kill(signal);  // it may have left its group
}

void WorkerChannel::end() noexcept {
    ended_ = true;
    const ChildProcess ending = std::move(child_);
    if (output_) {
        output_->standard->stop();
        output_->error->stop();
    }
    events_ = {};
    // On a caller's executor the handlers still run, and find that there is nothing to do.
    error_code ignored;
    from_worker_.cancel(ignored);
    to_worker_.cancel(ignored);
}

// --- writing ------------------------------------------------------------------------------------

void WorkerChannel::enqueue(std::vector<std::byte> frame) {
    {
        const std::lock_guard lock(mutex_);
        if (outbox_.empty()) {
            outbox_ = std::move(frame);
            return;
        }
    }
    enqueue(std::span<const std::byte>(frame));
}

void WorkerChannel::enqueue(std::span<const std::byte> frame) {
    const std::lock_guard lock(mutex_);
    outbox_.insert(outbox_.end(), frame.begin(), frame.end());
}

// Takes what has been enqueued; false, and nobody is writing any more, if there is nothing.
bool WorkerChannel::next_batch() {
    const std::lock_guard lock(mutex_);
    batch_ = std::exchange(outbox_, {});
    written_ = 0;
    writing_ = !batch_.empty();
    return writing_;
}

void WorkerChannel::flush() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(writing_, true)) {
            return;
        }
    }
    go_on_writing();
}

// By whoever set writing_.
void WorkerChannel::go_on_writing() {
    while (next_batch()) {
        if (!write_batch()) {
            boost::asio::post(to_worker_.get_executor(), [self = shared_from_this()] {
                self->write_rest();
            });
            return;
        }
    }
}

// False if the pipe is full.
bool WorkerChannel::write_batch() {
    error_code error;
    const auto rest = std::span<const std::byte>(batch_).subspan(written_);
    written_ += write_now(to_worker_.native_handle(), rest, error);
    // Any other error: the worker is dead or dying, which the reading side reports.
    return error != boost::asio::error::would_block;
}

// On the executor's thread. It does not leave the writing to Asio, as SIGPIPE may not be blocked on
// a thread that is the caller's.
void WorkerChannel::write_rest() {
    if (exit_ || ended_) {
        return;
    }
    to_worker_.async_wait(
        boost::asio::posix::stream_descriptor::wait_write,
        [self = shared_from_this()](error_code error) {
            if (error) {
                return;
            }
            if (self->write_batch()) {
                self->go_on_writing();
            } else {
                self->write_rest();
            }
        }
    );
}

// --- reading ------------------------------------------------------------------------------------

void WorkerChannel::read() {
    const auto room = reader_.prepare();
    from_worker_.async_read_some(
        boost::asio::buffer(room.data(), room.size()),
        [self = shared_from_this()](error_code error, std::size_t size) {
            if (self->ended_) {
                return;
            }
            if (!error) {
                self->reader_.commit(size);
                self->received();
                if (self->ended_) {
                    return;
                }
                if (!self->exit_) {
                    self->read();
                    return;
                }
            }
            self->at_end_ = true;
            if (self->exit_) {
                self->drain();
                self->report_gone();
            } else {
                // A worker that cannot answer is of no use; one that is exiting is not harmed, nor
                // what its tasks have started.
                self->child_.kill(SIGKILL);
            }
        }
    );
}

void WorkerChannel::exited(const ExitStatus& status) {
    if (ended_) {
        return;
    }
    exit_ = status;
    // What the worker started may hold its ends of the pipes: then a write would never be done, and
    // no end of the stream ever come.
    error_code ignored;
    to_worker_.cancel(ignored);
    if (at_end_) {
        report_gone();
    } else {
        from_worker_.cancel(ignored);  // and what is in the pipe is taken
    }
}

// Takes what a worker that has ended left in the pipe; not what somebody else goes on to write.
void WorkerChannel::drain() {
    const int pipe = from_worker_.native_handle();
    for (std::size_t left = readable_now(pipe); left != 0;) {
        const auto room = reader_.prepare();
        error_code error;
        const std::size_t size = read_now(pipe, room.first(std::min(left, room.size())), error);
        if (size == 0) {
            return;
        }
        left -= size;
        reader_.commit(size);
        received();
        if (ended_) {
            return;
        }
    }
}

void WorkerChannel::received() {
    if (oom_watch_ && !std::exchange(oom_marked_, true)) {
        // By now a launcher has put it where it stays.
        oom_mark_ = oom_watch_->begin(static_cast<pid_t>(pid()));
    }
    catch_up_with_output();
    events_.received(reader_);
}

void WorkerChannel::catch_up_with_output() {
    if (output_) {
        output_->standard->catch_up();
        output_->error->catch_up();
    }
}

void WorkerChannel::report_gone() {
    if (ended_) {
        return;
    }
    if (output_) {
        output_->standard->finish();
        output_->error->finish();
        exit_->stderr_tail = output_->error->tail();
    }
    exit_->oom_killed =
        exit_->signal == SIGKILL && !killed_ && oom_mark_ && oom_watch_->explains(*oom_mark_);
    const Events events = std::exchange(events_, {});  // what they keep alive may end here
    events.gone(*exit_);
}

}  // namespace cofutures::process
