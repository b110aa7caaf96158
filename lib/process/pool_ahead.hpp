#pragma once

#include "core/fork_count.hpp"
#include "process/process_pool.hpp"

#include <memory>
#include <utility>

namespace cofutures::process {

/// The tasks that were sent ahead to one worker. Knows the memory that says which it has begun, and
/// so outlives the worker's channel where a future is just being asked.
class ProcessPool::Ahead final : public detail::AheadTasks {
public:
    Ahead(std::weak_ptr<ProcessPool> pool, WorkerId worker, std::shared_ptr<ClaimTable> claims)
        : pool_(std::move(pool)), worker_(worker), claims_(std::move(claims)) {}

    [[nodiscard]] bool begun(std::uint64_t number) const noexcept override {
        return claims_->begun(number);
    }
    [[nodiscard]] bool prevent(std::uint64_t number) noexcept override {
        return home_.is_here() && claims_->prevent(number);  // a forked child has no say
    }
    void cancelled(std::uint64_t task) noexcept override {
        if (const auto pool = pool_.lock()) {
            pool->ahead_cancelled(worker_, task);
        }
    }

private:
    const detail::HomeProcess home_;
    std::weak_ptr<ProcessPool> pool_;
    WorkerId worker_;
    std::shared_ptr<ClaimTable> claims_;
};

}  // namespace cofutures::process
