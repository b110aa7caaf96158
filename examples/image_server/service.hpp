#pragma once

#include "metrics.hpp"
#include "options.hpp"
#include "routes.hpp"
#include "upload_budget.hpp"

#include <cofutures/process_pool_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>

namespace image_server {

/// Answers calls: knows the pools, and nothing of sockets.
///
/// What a stranger sent is decoded in worker processes, what this program made itself is worked on
/// in threads, and the event loop's thread only waits for both. For that one thread.
class Service {
public:
    /// @param options, metrics  Must outlive the service.
    Service(const Options& options, Metrics& metrics);

    /// Answers a call.
    ///
    /// @returns An answer, also where something failed.
    /// @throws boost::system::system_error  operation_aborted, if the coroutine was cancelled; then
    ///                                      so was its task, if it had not begun.
    [[nodiscard]] boost::asio::awaitable<Response> answer(Call call, Bytes upload);

    /// The answer of a server that has more to do than it can.
    [[nodiscard]] Response overloaded() const;

    /// Room for an upload of so many bytes, to be held until it is answered; nothing if there is no
    /// room.
    [[nodiscard]] std::optional<UploadBudget::Share> make_room(std::uint64_t bytes) noexcept {
        return budget_.take(bytes);
    }

    /// From now on /healthz says that no new work is wanted.
    void drain() noexcept { draining_ = true; }

    /// Ends both pools: patiently until `deadline`, then by force.
    ///
    /// @returns Whether force was not needed.
    [[nodiscard]] boost::asio::awaitable<bool>
    shut_down(std::chrono::steady_clock::time_point deadline);

private:
    [[nodiscard]] boost::asio::awaitable<Response>
    dispatch(Call call, Bytes upload, std::uint64_t id);
    [[nodiscard]] boost::asio::awaitable<Response>
    thumbnail(Call call, Bytes upload, std::uint64_t id);
    [[nodiscard]] boost::asio::awaitable<Response> deliver(Thumbnail thumbnail);
    [[nodiscard]] Response explain(const std::exception_ptr& failure, std::uint64_t id);
    [[nodiscard]] Response health() const;
    [[nodiscard]] PoolStats pool_stats() const { return {processes_.stats(), threads_.stats()}; }

    const Options& options_;
    Metrics& metrics_;
    cofutures::ProcessPoolExecutor processes_;
    cofutures::ThreadPoolExecutor threads_;
    UploadBudget budget_;
    std::uint64_t last_id_ = 0;
    bool draining_ = false;
    bool broken_ = false;
};

}  // namespace image_server
