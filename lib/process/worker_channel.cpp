#include "process/worker_channel.hpp"

#include <cofutures/error.hpp>

#include "process/pipe_io.hpp"
#include "process/worker.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <csignal>
#include <span>
#include <utility>

namespace cofutures::process {

namespace {

using boost::system::error_code;

// A buffer that held something large is not kept.
constexpr std::size_t kept_capacity = std::size_t{1} << 20;

}  // namespace

WorkerChannel::WorkerChannel(
    boost::asio::readable_pipe from_worker, boost::asio::writable_pipe to_worker, ChildProcess child
)
    : to_worker_(std::move(to_worker)),
      from_worker_(std::move(from_worker)),
      child_(std::move(child)) {}

std::shared_ptr<WorkerChannel> WorkerChannel::start(
    const boost::asio::any_io_executor& executor, const WorkerCommand& command
) {
    Pipe to_worker = make_pipe();
    Pipe from_worker = make_pipe();
    const int in = to_worker.read_end.get();
    const int out = from_worker.write_end.get();
    SpawnRequest request;
    request.program = command.program;
    request.launcher = command.launcher;
    request.arguments = worker_arguments(in, out);
    request.environment = {{worker_variable, "1"}};
    request.keep_open = {in, out};
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
    boost::asio::writable_pipe writing(executor, to_worker.write_end.get());
    to_worker.write_end.release();
    return std::shared_ptr<WorkerChannel>(
        new WorkerChannel(std::move(reading), std::move(writing), std::move(child))
    );
}

void WorkerChannel::listen(Events events) {
    events_ = std::move(events);
    child_.async_wait([self = shared_from_this()](error_code, ExitStatus status) {
        self->exit_ = status;
        if (self->at_end_) {
            self->report_gone();
        } else {
            // What the worker started may hold its end of the pipe, so that no end ever comes: the
            // pending read goes, and what is in the pipe is taken.
            error_code ignored;
            self->from_worker_.cancel(ignored);
        }
    });
    read();
}

void WorkerChannel::kill(bool force) noexcept {
    child_.kill_group(force ? SIGKILL : SIGTERM);
}

// --- writing ------------------------------------------------------------------------------------

// Takes what has been enqueued; false, and nobody is writing any more, if there is nothing.
bool WorkerChannel::next_batch() {
    const std::lock_guard lock(mutex_);
    batch_.clear();
    written_ = 0;
    if (batch_.capacity() > kept_capacity) {
        batch_ = {};
    }
    batch_.swap(outbox_);
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
        error_code error;
        const std::span<const std::byte> batch(batch_);
        written_ = write_now(to_worker_.native_handle(), batch, error);
        if (error == boost::asio::error::would_block) {
            boost::asio::post(to_worker_.get_executor(), [self = shared_from_this()] {
                self->write_rest();
            });
            return;
        }
        // Any other error: the worker is dead or dying, which the reading side reports.
    }
}

// On the executor's thread, which blocks SIGPIPE.
void WorkerChannel::write_rest() {
    boost::asio::async_write(
        to_worker_,
        boost::asio::buffer(batch_.data() + written_, batch_.size() - written_),
        [self = shared_from_this()](error_code error, std::size_t) {
            if (!error) {
                self->go_on_writing();
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
            if (!error) {
                self->reader_.commit(size);
                self->events_.received(self->reader_);
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
                // A worker that cannot answer is of no use; one that is exiting is not harmed.
                self->kill(true);
            }
        }
    );
}

// Takes what is left in the pipe of a worker that has ended.
void WorkerChannel::drain() {
    error_code error;
    for (;;) {
        const auto room = reader_.prepare();
        const std::size_t size = read_now(from_worker_.native_handle(), room, error);
        if (size == 0) {
            return;
        }
        reader_.commit(size);
        events_.received(reader_);
    }
}

void WorkerChannel::report_gone() {
    const Events events = std::exchange(events_, {});  // what they keep alive may end here
    events.gone(*exit_);
}

}  // namespace cofutures::process
