#include "metrics.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <locale>
#include <ostream>
#include <sstream>
#include <utility>

namespace json = boost::json;

namespace image_server {

namespace {

using cofutures::ExecutorStats;

// Writes metric families: the two lines of comment once, then a line for each value.
class PrometheusWriter {
public:
    PrometheusWriter() {
        out_.imbue(std::locale::classic());
        out_.precision(9);
    }

    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        out_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
    }

    template <class Number>
    void value(Number number, std::string_view labels = {}, std::string_view suffix = {}) {
        out_ << name_ << suffix;
        if (!labels.empty()) {
            out_ << '{' << labels << '}';
        }
        out_ << ' ' << number << '\n';
    }

    void histogram(const Histogram& histogram, const std::string& labels = {}) {
        const std::string prefix = labels.empty() ? "" : labels + ',';
        for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
            std::ostringstream bound;
            bound.imbue(std::locale::classic());
            bound << prefix << "le=\"" << Histogram::bounds[i] << '"';
            value(histogram.at_most(i), bound.str(), "_bucket");
        }
        value(histogram.count(), prefix + "le=\"+Inf\"", "_bucket");
        value(histogram.sum().count(), labels, "_sum");
        value(histogram.count(), labels, "_count");
    }

    [[nodiscard]] std::string text() const { return out_.str(); }

private:
    std::ostringstream out_;
    std::string_view name_;
};

template <class Number>
struct PoolValue {
    std::string_view name;
    std::string_view help;
    Number ExecutorStats::*member;
};
// Compilers deduce it of an aggregate by themselves; clang since version 17.
template <class Number>
PoolValue(std::string_view, std::string_view, Number ExecutorStats::*) -> PoolValue<Number>;

constexpr std::array pool_gauges = {
    PoolValue{"cofutures_pool_workers", "Threads or processes.", &ExecutorStats::workers},
    PoolValue{"cofutures_pool_idle", "Workers without work.", &ExecutorStats::idle},
    PoolValue{"cofutures_pool_queued", "Tasks that have not begun.", &ExecutorStats::queued},
    PoolValue{"cofutures_pool_running", "Tasks that run.", &ExecutorStats::running},
};

constexpr std::array pool_counters = {
    PoolValue{"cofutures_pool_submitted_total", "Tasks taken.", &ExecutorStats::submitted},
    PoolValue{"cofutures_pool_completed_total", "Tasks that returned.", &ExecutorStats::completed},
    PoolValue{"cofutures_pool_failed_total", "Tasks that failed.", &ExecutorStats::failed},
    PoolValue{
        "cofutures_pool_cancelled_total", "Tasks cancelled in time.", &ExecutorStats::cancelled},
    PoolValue{
        "cofutures_pool_worker_deaths_total",
        "Workers that ended unasked.",
        &ExecutorStats::worker_deaths},
    PoolValue{"cofutures_pool_retries_total", "Tasks begun again.", &ExecutorStats::retries},
    PoolValue{"cofutures_pool_timeouts_total", "Tasks that overran.", &ExecutorStats::timeouts},
};

template <class Values>
void write_pools(
    PrometheusWriter& out, const PoolStats& pools, const Values& values, std::string_view type
) {
    for (const auto& value : values) {
        out.family(value.name, type, value.help);
        out.value(pools.processes.*value.member, "pool=\"processes\"");
        out.value(pools.threads.*value.member, "pool=\"threads\"");
    }
}

void write_requests(PrometheusWriter& out, const Metrics& metrics) {
    const auto label = [](std::string_view route) {
        return "route=\"" + std::string(route) + '"';
    };
    out.family("image_server_requests_total", "counter", "Answers by route and status.");
    for (const auto& [key, count] : metrics.requests) {
        out.value(count, label(key.first) + ",code=\"" + std::to_string(key.second) + '"');
    }
    out.family(
        "image_server_request_seconds", "histogram", "From a request's header to its answer's end."
    );
    for (const auto& [route, histogram] : metrics.request_time) {
        out.histogram(histogram, label(route));
    }
}

void write_traffic(PrometheusWriter& out, const Metrics& metrics) {
    out.family("image_server_connections", "gauge", "Connections that are open.");
    out.value(metrics.connections_open);
    out.family("image_server_connections_total", "counter", "Connections accepted.");
    out.value(metrics.connections_accepted);
    out.family(
        "image_server_clients_left_total", "counter", "Clients that left before the answer."
    );
    out.value(metrics.clients_left);
    out.family("image_server_received_bytes_total", "counter", "Bytes of uploads.");
    out.value(metrics.bytes_received);
    out.family("image_server_sent_bytes_total", "counter", "Bytes of answers' bodies.");
    out.value(metrics.bytes_sent);
}

json::object pool_json(const ExecutorStats& stats) {
    return {
        {"workers", stats.workers},
        {"idle", stats.idle},
        {"queued", stats.queued},
        {"running", stats.running},
        {"submitted", stats.submitted},
        {"completed", stats.completed},
        {"failed", stats.failed},
        {"cancelled", stats.cancelled},
        {"worker_deaths", stats.worker_deaths},
        {"retries", stats.retries},
        {"timeouts", stats.timeouts},
    };
}

json::object latency_json(const Histogram& histogram) {
    const auto milliseconds = [](Histogram::Duration duration) {
        return duration.count() * 1e3;
    };
    return {
        {"count", histogram.count()},
        {"p50", milliseconds(histogram.recent_quantile(0.50))},
        {"p95", milliseconds(histogram.recent_quantile(0.95))},
        {"p99", milliseconds(histogram.recent_quantile(0.99))},
        {"largest", milliseconds(histogram.largest())},
    };
}

json::object requests_json(const Metrics& metrics) {
    std::uint64_t good = 0;
    std::uint64_t refused = 0;
    std::uint64_t failed = 0;
    for (const auto& [key, count] : metrics.requests) {
        if (key.first == "thumbnail") {
            (key.second < 400 ? good : key.second < 500 ? refused : failed) += count;
        }
    }
    return {
        {"good", good},
        {"refused", refused},
        {"failed", failed},
        {"clients_left", metrics.clients_left},
    };
}

}  // namespace

std::string to_prometheus(const Metrics& metrics, const PoolStats& pools) {
    PrometheusWriter out;
    write_requests(out, metrics);
    out.family("image_server_decode_seconds", "histogram", "Decode, scale, encode in a worker.");
    out.histogram(metrics.decode_time);
    out.family("image_server_worker_seconds", "histogram", "From submit to result.");
    out.histogram(metrics.worker_time);
    out.family("image_server_loop_lateness_seconds", "histogram", "How late timers were.");
    out.histogram(metrics.loop_lateness);
    out.family("image_server_loop_lateness_max_seconds", "gauge", "The latest timer so far.");
    out.value(metrics.loop_lateness.largest().count());
    write_traffic(out, metrics);
    write_pools(out, pools, pool_gauges, "gauge");
    write_pools(out, pools, pool_counters, "counter");
    return out.text();
}

std::string to_json(const Metrics& metrics, const PoolStats& pools) {
    const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - metrics.started;
    const auto thumbnails = metrics.request_time.find("thumbnail");
    const json::object object = {
        {"uptime_seconds", uptime.count()},
        {"connections", metrics.connections_open},
        {"thumbnails", requests_json(metrics)},
        {"processes", pool_json(pools.processes)},
        {"threads", pool_json(pools.threads)},
        {"request_ms",
         latency_json(thumbnails != metrics.request_time.end() ? thumbnails->second : Histogram())},
        {"decode_ms", latency_json(metrics.decode_time)},
        {"lateness_ms", latency_json(metrics.loop_lateness)},
    };
    return json::serialize(object);
}

}  // namespace image_server
