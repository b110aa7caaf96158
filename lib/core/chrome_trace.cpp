#include <cofutures/chrome_trace.hpp>

#include <boost/nowide/utf/utf.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cofutures {

namespace detail {

/// One task, from when it was queued.
struct TraceSpan {
    using Time = std::chrono::steady_clock::time_point;

    std::string name;
    std::size_t worker = 0;  // index; 0 if it never began
    Time queued{};
    Time started{};
    Time finished{};
    TaskOutcome outcome = TaskOutcome::returned;
};

}  // namespace detail

namespace {

using detail::TraceSpan;
using Time = TraceSpan::Time;

const char* text_of(TaskOutcome outcome) {
    switch (outcome) {
    case TaskOutcome::raised:
        return "raised";
    case TaskOutcome::cancelled:
        return "cancelled";
    case TaskOutcome::returned:
        break;
    }
    return "returned";
}

// Boost.JSON would have to be compiled into this library, and would then clash with a program's own
// copy: strings and numbers are all that needs care here. What is not UTF-8 becomes U+FFFD.
void write_string(std::ostream& out, std::string_view text) {
    using Utf8 = boost::nowide::utf::utf_traits<char>;
    out << '"';
    for (const char* at = text.data(); at != text.data() + text.size();) {
        const char* const from = at;
        const auto point = Utf8::decode(at, text.data() + text.size());
        if (!boost::nowide::utf::is_valid_codepoint(point)) {
            at = from + 1;
            out << "\\ufffd";
        } else if (point < 0x20) {
            std::array<char, 8> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\u%04x", point);
            out << escaped.data();
        } else if (point == '"' || point == '\\') {
            out << '\\' << *from;
        } else {
            out.write(from, at - from);
        }
    }
    out << '"';
}

// As the stream's own locale might not.
void write_number(std::ostream& out, double number) {
    std::array<char, 350> digits{};  // more than the largest has
    const char* const end =
        std::to_chars(digits.begin(), digits.end(), number, std::chars_format::fixed, 3).ptr;
    out.write(digits.data(), end - digits.data());
}

/// Writes events, which are times in microseconds since the first one.
class EventWriter {
public:
    EventWriter(std::ostream& out, Time origin) : out_(out), origin_(origin) {}

    void name_row(std::string_view kind, std::size_t row, std::string_view name) {
        begin(kind, "M", row);
        out_ << R"(,"args":{"name":)";
        write_string(out_, name);
        out_ << "}}";
    }

    void run(const TraceSpan& span) {
        begin(span.name, "X", span.worker);
        out_ << R"(,"cat":"task","ts":)";
        write_time(span.started - origin_);
        out_ << R"(,"dur":)";
        write_time(span.finished - span.started);
        out_ << R"(,"args":{"outcome":")" << text_of(span.outcome) << R"(","queued_us":)";
        write_time(span.started - span.queued);
        out_ << "}}";
    }

    void wait(const TraceSpan& span, std::size_t id) {
        const Time end = span.worker == 0 ? span.finished : span.started;
        for (const auto& [phase, time] : {std::pair("b", span.queued), std::pair("e", end)}) {
            begin(span.name, phase, 0);
            out_ << R"(,"cat":"queue","id":)" << std::to_string(id) << R"(,"ts":)";
            write_time(time - origin_);
            out_ << '}';
        }
    }

private:
    void begin(std::string_view name, const char* phase, std::size_t row) {
        out_ << (std::exchange(any_, true) ? ",\n" : "\n") << R"({"name":)";
        write_string(out_, name);
        out_ << R"(,"ph":")" << phase << R"(","pid":1,"tid":)" << std::to_string(row);
    }

    void write_time(Time::duration time) {
        write_number(out_, std::chrono::duration<double, std::micro>(time).count());
    }

    std::ostream& out_;
    const Time origin_;
    bool any_ = false;
};

}  // namespace

/// What has been seen. Thread-safe.
class ChromeTrace::Records {
public:
    void queued(const TaskEvent& event) {
        TraceSpan span{.name = std::string(event.name), .queued = event.time};
        const std::lock_guard lock(mutex_);
        open_.insert_or_assign(event.task, std::move(span));
    }

    void started(const TaskEvent& event) {
        const std::lock_guard lock(mutex_);
        if (const auto found = open_.find(event.task); found != open_.end()) {
            found->second.worker = index_of(event.worker);
            found->second.started = event.time;
        }
    }

    void finished(const TaskEvent& event, TaskOutcome outcome) {
        const std::lock_guard lock(mutex_);
        if (const auto found = open_.find(event.task); found != open_.end()) {
            found->second.finished = event.time;
            found->second.outcome = outcome;
            spans_.push_back(std::move(found->second));
            open_.erase(found);
        }
    }

    /// The finished tasks and the workers' names, to be read without the mutex.
    [[nodiscard]] std::pair<std::vector<TraceSpan>, std::vector<std::string>> copy() const {
        const std::lock_guard lock(mutex_);
        return {spans_, workers_};
    }

private:
    // Under the mutex.
    std::size_t index_of(std::string_view worker) {
        const auto found = std::ranges::find(workers_, worker);
        if (found == workers_.end()) {
            workers_.emplace_back(worker);
            return workers_.size() - 1;
        }
        return static_cast<std::size_t>(found - workers_.begin());
    }

    mutable std::mutex mutex_;  // guards all that follows
    std::unordered_map<std::uint64_t, TraceSpan> open_;
    std::vector<TraceSpan> spans_;
    std::vector<std::string> workers_{"queue"};
};

ChromeTrace::ChromeTrace(std::string title)
    : title_(std::move(title)), records_(std::make_unique<Records>()) {}

ChromeTrace::~ChromeTrace() = default;

void ChromeTrace::task_queued(const TaskEvent& event) noexcept {
    try {
        records_->queued(event);
    } catch (const std::bad_alloc&) {
        return;  // as the class comment says
    }
}

void ChromeTrace::task_started(const TaskEvent& event) noexcept {
    try {
        records_->started(event);
    } catch (const std::bad_alloc&) {
        return;
    }
}

void ChromeTrace::task_finished(const TaskEvent& event, TaskOutcome outcome) noexcept {
    try {
        records_->finished(event, outcome);
    } catch (const std::bad_alloc&) {
        return;
    }
}

void ChromeTrace::write(std::ostream& out) const {
    const auto [spans, workers] = records_->copy();
    Time origin = Time::max();
    for (const TraceSpan& span : spans) {
        origin = std::min(origin, span.queued);
    }
    out << R"({"displayTimeUnit":"ms","traceEvents":[)";
    EventWriter writer(out, origin);
    writer.name_row("process_name", 0, title_);
    for (std::size_t row = 0; row != workers.size(); ++row) {
        writer.name_row("thread_name", row, workers[row]);
    }
    for (std::size_t id = 0; id != spans.size(); ++id) {
        writer.wait(spans[id], id);
        if (spans[id].worker != 0) {
            writer.run(spans[id]);
        }
    }
    out << "\n]}\n";
}

}  // namespace cofutures
