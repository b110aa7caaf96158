#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/state_base.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace cofutures::detail {

/// What a map's consumer and those who run its items share.
///
/// The consumer is one thread at a time. Kept by the range, and by each task of the map while that
/// runs: a task that only waits for its turn keeps nothing.
class COFUTURES_EXPORT MapJob : public std::enable_shared_from_this<MapJob> {
public:
    MapJob(const MapJob&) = delete;
    MapJob& operator=(const MapJob&) = delete;

    /// Cancels what has not begun.
    virtual void stop() noexcept = 0;

    /// What the outcome depends on that the consumer sleeps for; nothing if that is not known. May
    /// be asked on any thread while it sleeps.
    [[nodiscard]] virtual Dependencies needs() { return {}; }

protected:
    explicit MapJob(std::shared_ptr<TaskSink> sink) noexcept : sink_(std::move(sink)) {}
    virtual ~MapJob();

    [[nodiscard]] TaskSink& sink() const noexcept { return *sink_; }

    /// Runs an item on the consumer's thread, which is one of the executor's, while it waits. False
    /// if there is none to run.
    virtual bool help() noexcept { return false; }

    /// Whether the consumer, which sleeps, is about to be woken.
    [[nodiscard]] virtual bool has_outcome() const noexcept = 0;

    class Sleep;
    template <class Ready>
    bool look_until(Ready ready, const Deadline& deadline);
    template <class Woken>
    bool sleep_until(Woken woken, const Sleep& sleep, const Deadline& deadline);
    void wake() noexcept;

private:
    const std::shared_ptr<TaskSink> sink_;

    std::mutex sleep_mutex_;  // held to wake, so that no wake-up falls between a look and a sleep
    std::condition_variable woken_;
};

}  // namespace cofutures::detail
