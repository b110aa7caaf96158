#pragma once

#include <cofutures/export.hpp>
#include <cofutures/observer.hpp>

#include <iosfwd>
#include <memory>
#include <string>

namespace cofutures {

/// Keeps what becomes of tasks, and writes it as a trace that Perfetto and Chrome's tracing show.
///
/// @code{.cpp} run
/// const auto trace = std::make_shared<cofutures::ChromeTrace>("squares");
/// cofutures::ThreadPoolExecutor pool({.max_workers = 2, .observer = trace});
/// pool.submit({.name = "square"}, [](int n) { return n * n; }, 12).wait();
/// pool.shutdown();
/// std::ostringstream json;
/// trace->write(json);
/// assert(json.str().find("\"name\":\"square\"") != std::string::npos);
/// @endcode
///
/// Each worker is a row that shows which task it runs when; the time that a task waits is a row
/// above them. One trace can observe several executors. It holds about 100 bytes for each task
/// until it is destroyed; tasks that find no memory for that are left out.
///
/// @thread_safety  Shared objects: safe.
/// @python         none.
class COFUTURES_EXPORT ChromeTrace final : public ExecutorObserver {
public:
    /// @param title  What the viewer calls the whole.
    explicit ChromeTrace(std::string title = "cofutures");
    ~ChromeTrace() override;

    void task_queued(const TaskEvent& event) noexcept override;
    void task_started(const TaskEvent& event) noexcept override;
    void task_finished(const TaskEvent& event, TaskOutcome outcome) noexcept override;

    /// Writes what has been seen so far as one JSON object: the tasks that have finished. Names are
    /// taken to be UTF-8; bytes of them that are none become U+FFFD.
    ///
    /// @complexity  Linear in the number of tasks; executors go on meanwhile.
    void write(std::ostream& out) const;

private:
    class Records;

    const std::string title_;
    const std::unique_ptr<Records> records_;
};

}  // namespace cofutures
