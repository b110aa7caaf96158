#include "process/output_reader.hpp"

#include <cofutures/detail/callback_error.hpp>

#include "process/pipe_io.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace cofutures::process {

using boost::system::error_code;

OutputReader::OutputReader(
    const boost::asio::any_io_executor& executor, FileDescriptor pipe, std::size_t tail_size
)
    : pipe_(executor), tail_size_(tail_size) {
    error_code error;
    set_non_blocking(pipe.get(), error);
    if (error) {
        throw boost::system::system_error(error, "making a pipe non-blocking");
    }
    pipe_.assign(pipe.get());
    pipe.release();
}

void OutputReader::listen(OnLine on_line) {
    on_line_ = std::move(on_line);
    wait();
}

// Waits first and reads then, instead of both in one: so bytes are never on their way in a handler
// that has yet to run, and `catch_up` misses none.
void OutputReader::wait() {
    pipe_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this()](error_code error) {
            if (!error && self->on_line_) {
                const bool is_open =
                    self->read_some(error) != 0 || error == boost::asio::error::would_block;
                if (is_open) {
                    self->wait();
                }
            }
        }
    );
}

std::size_t OutputReader::read_some(error_code& error) {
    std::array<std::byte, std::size_t{8} * 1024> room;  // NOLINT: filled by the read
    const std::size_t size = read_now(pipe_.native_handle(), room, error);
    const std::string_view text(reinterpret_cast<const char*>(room.data()), size);  // NOLINT
    if (tail_size_ != 0) {
        tail_ += text;
        if (tail_.size() > 4 * tail_size_) {  // more than `tail` gives is left: it sees a cut
            tail_.erase(0, tail_.size() - 2 * tail_size_);
        }
    }
    lines_.feed(text, [this](std::string_view line) { report(line); });
    return size;
}

void OutputReader::catch_up() {
    // What is written meanwhile does not count, or a flood would keep this thread for ever.
    std::size_t left = on_line_ ? readable_now(pipe_.native_handle()) : 0;
    error_code error;
    while (left != 0) {
        const std::size_t size = read_some(error);
        if (size == 0) {
            break;
        }
        left -= std::min(left, size);
    }
}

void OutputReader::finish() {
    catch_up();
    if (on_line_) {
        lines_.finish([this](std::string_view line) { report(line); });
    }
    stop();
}

void OutputReader::stop() noexcept {
    on_line_ = nullptr;
    error_code ignored;
    pipe_.close(ignored);
}

void OutputReader::report(std::string_view line) {
    if (on_line_) {
        detail::run_reporting_errors([&] { on_line_(line); });
    }
}

std::string OutputReader::tail() const {
    std::string_view text = tail_;
    if (text.size() > tail_size_) {
        text.remove_prefix(text.size() - tail_size_);
        const std::size_t end = text.find('\n');
        text.remove_prefix(end == std::string_view::npos || end + 1 == text.size() ? 0 : end + 1);
    }
    return std::string(text);
}

}  // namespace cofutures::process
