#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/cache_line.hpp>
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
/// not thread-safe. What it counts for each item lies away from the job, which others look at for
/// each item.
template <class Value, class Job>
class alignas(cache_line) ArrayMapSource final : public MapSource<Value> {
public:
    explicit ArrayMapSource(const Deadline& deadline) : deadline_(deadline) {}
    ~ArrayMapSource() override { close(); }

    /// Has all items run, which the inputs give. Throws what the inputs and the executor throw.
    template <class... Ranges>
    void start(std::shared_ptr<Job> job, MapInputs<Ranges...>& inputs, std::size_t size) {
        job_ = std::move(job);
        row_.next = row_.end = job_->phases();
        row_.value = job_->values();
        row_.stride = sizeof(typename Job::Cell);
        try {
            MapGrain batch(0);
            auto begun = Clock::now();
            while (added() != size) {  // NOLINT(bugprone-infinite-loop): make() adds to it
                const std::size_t wanted = std::min(batch.size(), size - added());
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

    void close() noexcept override {
        if (const auto job = std::exchange(job_, nullptr)) {
            job->drop(number_of(*job, row_.next), number_of(*job, row_.end));
            job->stop();
        }
        row_.next = row_.end;
    }

private:
    void wait_for_next(std::optional<Value>& result) override {
        if (row_.next == row_.end) {
            close();
            return;
        }
        const std::size_t item = number_of(*job_, row_.next);
        if (!job_->wait_for(item, deadline_)) {
            close();
            throw TimeoutError();
        }
        Value& value = row_.take();
        switch (job_->outcome(item)) {
        case MapPhase::returned:
            move_out(value, result);
            break;
        case MapPhase::raised:
            std::rethrow_exception(job_->take_error(item));
        default:
            throw CancelledError();
        }
    }

    // Makes so many items and has them run. What it throws leaves only items that were added.
    template <class... Ranges>
    std::size_t make(MapInputs<Ranges...>& inputs, std::size_t wanted) {
        std::exception_ptr error;
        std::size_t made = 0;
        try {
            inputs.get_some(wanted, made, [this, first = added()](std::size_t i) {
                return std::addressof(job_->make_cell(first + i).arguments);
            });
        } catch (...) {
            error = std::current_exception();
        }
        if (made != 0) {
            row_.end += job_->add(made, {}, error);
        }
        if (error) {
            std::rethrow_exception(error);
        }
        return made;
    }

    using MapSource<Value>::row_;
    using Place = decltype(row_.next);

    static std::size_t number_of(const Job& job, Place item) noexcept {
        return static_cast<std::size_t>(item - job.phases());
    }
    [[nodiscard]] std::size_t added() const noexcept { return number_of(*job_, row_.end); }

    std::shared_ptr<Job> job_;  // null when closed
    const Deadline deadline_;
};

}  // namespace cofutures::detail
