#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_grain.hpp>
#include <cofutures/detail/map_input.hpp>
#include <cofutures/detail/map_slot.hpp>
#include <cofutures/detail/map_source.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace cofutures::detail {

/// The consumer's half of an ArrayMapJob: gives out what became of the items. The range's alone;
/// not thread-safe.
template <class Value, class Job>
class ArrayMapSource final : public MapSource<Value> {
public:
    explicit ArrayMapSource(const Deadline& deadline) : deadline_(deadline) {}
    ~ArrayMapSource() override { close(); }

    /// Has all items run, which the inputs give. Throws what the inputs and the executor throw.
    template <class... Ranges>
    void start(std::shared_ptr<Job> job, MapInputs<Ranges...>& inputs, std::size_t size) {
        job_ = std::move(job);
        try {
            MapGrain batch(0);
            auto begun = Clock::now();
            while (end_ != size) {
                const std::size_t wanted = std::min(batch.size(), size - end_);
                const std::size_t made = make(inputs, wanted);
                if (made != wanted) {
                    break;  // there are fewer than they said
                }
                const auto now = Clock::now();
                batch.took(made, now - begun);
                begun = now;
            }
        } catch (...) {
            close();
            throw;
        }
    }

    void next(std::optional<Value>& result) override {
        if (item_ == end_) {
            close();
            return;
        }
        if (!job_->wait_for(item_, deadline_)) {
            close();
            throw TimeoutError();
        }
        const std::size_t item = item_++;
        auto& cell = job_->cell(item);
        switch (job_->outcome(item)) {
        case MapPhase::returned:
            result.emplace(cell.take_value());
            break;
        case MapPhase::raised:
            std::rethrow_exception(cell.take_error());
        default:
            throw CancelledError();
        }
    }

    void close() noexcept override {
        if (const auto job = std::exchange(job_, nullptr)) {
            job->drop(item_, end_);
            job->stop();
        }
        item_ = end_;
    }

private:
    // Makes so many items and has them run. What it throws leaves only items that were added.
    template <class... Ranges>
    std::size_t make(MapInputs<Ranges...>& inputs, std::size_t wanted) {
        std::exception_ptr error;
        std::size_t made = 0;
        try {
            while (made != wanted && inputs.advance()) {
                inputs.get(std::addressof(job_->make_cell(end_ + made).arguments));
                ++made;
            }
        } catch (...) {
            error = std::current_exception();
        }
        if (made != 0) {
            end_ += job_->add(made, {}, error);
        }
        if (error) {
            std::rethrow_exception(error);
        }
        return made;
    }

    // Away from end_: two neighbours may be loaded at once, which waits for the store of either.
    std::size_t item_ = 0;      // the next to be given out
    std::shared_ptr<Job> job_;  // null when closed
    std::size_t end_ = 0;
    const Deadline deadline_;
};

}  // namespace cofutures::detail
