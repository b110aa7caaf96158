#pragma once

#include "process/child_process.hpp"
#include "process/line_splitter.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace cofutures::process {

/// Reads, line by line, what a process writes to one of its standard streams.
///
/// One turn takes at most a few KiB, however much there is: other handlers of the executor have
/// theirs in between. When nobody reads the writer waits, once the pipe is full. Everything happens
/// on the executor's thread, which must be one.
class OutputReader : public std::enable_shared_from_this<OutputReader> {
public:
    using OnLine = std::function<void(std::string_view)>;

    /// @param pipe       The end to read from.
    /// @param tail_size  How many of the last bytes are kept for `tail`.
    /// @throws boost::system::system_error  if the pipe cannot be watched.
    OutputReader(
        const boost::asio::any_io_executor& executor, FileDescriptor pipe, std::size_t tail_size
    );

    /// Begins to read. What `on_line` throws is reported as a callback's exception is.
    void listen(OnLine on_line);

    /// Reads what is there now, and no more: what was written before something else was seen.
    void catch_up();

    /// As `catch_up`, then the last line, ended or not, and nothing more: the process has ended.
    /// What others that hold its stream may still write is not waited for.
    void finish();

    /// Reports nothing more.
    void stop() noexcept;

    /// The last bytes that came, from the beginning of a line if there is one among them.
    [[nodiscard]] std::string tail() const;

private:
    void wait();
    std::size_t read_some(boost::system::error_code& error);
    void report(std::string_view line);

    boost::asio::posix::stream_descriptor pipe_;
    OnLine on_line_;
    LineSplitter lines_;
    const std::size_t tail_size_;
    std::string tail_;  // at most four times as much as `tail` gives, and a turn's bytes
};

}  // namespace cofutures::process
