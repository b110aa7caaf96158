#pragma once

#include <cofutures/detail/cache_line.hpp>
#include <cofutures/detail/map_drainers.hpp>

#include <utility>

namespace cofutures::detail {

/// A map in this process with the callable that it calls. All else is in `Job`, whose type is that
/// of other maps of such arguments and results too, so that each callable costs little to compile.
///
/// @tparam Job   ArrayMapJob or LocalMapJob.
/// @tparam Call  MapCall.
template <class Job, class Call>
class CallingMapJob final : public Job {
public:
    template <class F, class... JobArgs>
    explicit CallingMapJob(F&& fn, JobArgs&&... args)
        : Job(std::forward<JobArgs>(args)...), call_(std::forward<F>(fn)) {}

    void stop() noexcept override {
        call_.request_stop();
        this->halt(nullptr);
    }

protected:
    void run(const MapItems& items) noexcept override { this->run_with(call_, items); }

private:
    // Looked at for each item: away from what MapDrainers changes.
    alignas(cache_line) Call call_;
};

}  // namespace cofutures::detail
