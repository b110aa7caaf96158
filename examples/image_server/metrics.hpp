#pragma once

#include "histogram.hpp"

#include <cofutures/executor_stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace image_server {

/// What the server has done. For one thread: the event loop's.
struct Metrics {
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
    /// Answers, by route and status.
    std::map<std::pair<std::string_view, unsigned>, std::uint64_t> requests;
    /// From when a request's header was read until its answer was written, by route.
    std::map<std::string_view, Histogram> request_time;
    /// Decoding, scaling and encoding, as the worker measured it.
    Histogram decode_time;
    /// From submit until the result was there: queueing, both ways through the pipe, decoding.
    Histogram worker_time;
    /// How late the event loop's timer was.
    Histogram loop_lateness;
    std::uint64_t connections_accepted = 0;
    std::size_t connections_open = 0;
    /// Clients that left while their request was being worked on.
    std::uint64_t clients_left = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
};

/// Both pools' counters.
struct PoolStats {
    cofutures::ExecutorStats processes;
    cofutures::ExecutorStats threads;
};

/// Writes all of it in Prometheus' text format, version 0.0.4.
[[nodiscard]] std::string to_prometheus(const Metrics& metrics, const PoolStats& pools);

/// Writes what the page shows, as JSON.
[[nodiscard]] std::string to_json(const Metrics& metrics, const PoolStats& pools);

}  // namespace image_server
