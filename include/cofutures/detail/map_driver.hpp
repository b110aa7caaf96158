#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/map_grain.hpp>
#include <cofutures/detail/map_input.hpp>
#include <cofutures/detail/map_slot.hpp>
#include <cofutures/detail/map_source.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

namespace cofutures::detail {

/// How a map goes about its inputs.
struct MapPlan {
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    bool ordered = true;
    Deadline deadline;
    /// The most items in flight.
    std::size_t limit = unlimited;
    /// Items to offer at a time; 0 to find out.
    std::size_t batch = 0;
};

/// The consumer's half of a map: takes items from the inputs, offers them to the job, and gives out
/// what became of them. The range's alone; not thread-safe.
template <class Value, class Job, class... Ranges>
class MapDriver final : public MapSource<Value> {
public:
    using Slot = typename Job::Slot;

    MapDriver(std::unique_ptr<MapInputs<Ranges...>> inputs, const MapPlan& plan)
        : inputs_(std::move(inputs)), plan_(plan), batch_(plan.batch) {}
    ~MapDriver() override { close(); }

    /// Begins: takes what the plan allows. Throws what the inputs and the executor throw.
    void start(std::shared_ptr<Job> job) {
        job_ = std::move(job);
        const std::size_t size = inputs_->size().value_or(0);
        job_->storage().reserve(std::min({size, plan_.limit, largest_reserve}));
        fill();
        if (auto error = std::exchange(error_, nullptr)) {
            close();
            std::rethrow_exception(std::move(error));
        }
    }

    void close() noexcept override {
        inputs_.reset();
        error_ = nullptr;
        in_flight_ = 0;
        const auto job = std::exchange(job_, nullptr);
        if (job == nullptr) {
            return;
        }
        job->storage().for_each([](Slot& slot) {
            if (slot.phase.load(std::memory_order_relaxed) != MapPhase::free) {
                slot.destroy_outcome(
                    slot.phase.exchange(MapPhase::dropped, std::memory_order_acq_rel)
                );
            }
        });
        job->stop();
    }

private:
    static constexpr std::size_t largest_reserve = std::size_t{1} << 24;

    void wait_for_next(std::optional<Value>& result) override {
        if (in_flight_ == 0) {
            const auto error = std::exchange(error_, nullptr);
            close();
            if (error) {
                std::rethrow_exception(error);
            }
            return;
        }
        auto* slot = static_cast<Slot*>(job_->next(plan_.deadline));
        if (slot == nullptr) {
            close();
            throw TimeoutError();
        }
        --in_flight_;
        deliver(*slot, result);
    }

    // Takes the outcome out of the slot, and more items in, before it gives it to the reader.
    void deliver(Slot& slot, std::optional<Value>& result) {
        std::exception_ptr error;
        {
            const SlotGuard guard{job_->storage(), slot};
            switch (slot.phase.load(std::memory_order_acquire)) {
            case MapPhase::returned:
                move_out(slot.value, result);
                break;
            case MapPhase::raised:
                error = slot.take_error();
                break;
            default:
                error = make_error<CancelledError>();
            }
        }
        if (inputs_ != nullptr && plan_.limit - in_flight_ >= refill_size()) {
            fill();
        }
        if (error) {
            std::rethrow_exception(std::move(error));
        }
    }

    struct SlotGuard {
        decltype(std::declval<Job&>().storage()) storage;
        Slot& slot;
        ~SlotGuard() { storage.release(slot); }
    };

    // Of a large buffer a small part is filled at once; of a small one each place.
    [[nodiscard]] std::size_t refill_size() const noexcept {
        return std::max({std::size_t{1}, plan_.limit / 16, std::min(plan_.batch, plan_.limit)});
    }

    // Takes items until the limit is reached or there are no more. What stops it goes to `error_`.
    void fill() noexcept {
        auto begun = Clock::now();
        while (inputs_ != nullptr && in_flight_ < plan_.limit) {
            const MapRun items = pull(std::min(batch_.size(), plan_.limit - in_flight_));
            if (items.count != 0) {
                std::exception_ptr refusal;
                in_flight_ += job_->offer(items, refusal);
                if (refusal) {
                    error_ = std::move(refusal);
                    inputs_.reset();
                }
            }
            const auto now = Clock::now();
            batch_.took(items.count, now - begun);
            begun = now;
        }
    }

    // Takes so many items from the inputs; fewer at their end, or where they throw.
    MapRun pull(std::size_t wanted) noexcept {
        MapRun items;
        try {
            while (items.count < wanted) {
                if (!inputs_->advance()) {
                    inputs_.reset();
                    break;
                }
                push_item(items);
            }
        } catch (...) {
            error_ = std::current_exception();
            inputs_.reset();
        }
        return items;
    }

    void push_item(MapRun& items) {
        Slot& slot = job_->storage().acquire();
        try {
            inputs_->get(std::addressof(slot.arguments));
        } catch (...) {
            job_->storage().release(slot);
            throw;
        }
        slot.phase.store(MapPhase::pending, std::memory_order_relaxed);
        items.push_back(slot);
    }

    std::unique_ptr<MapInputs<Ranges...>> inputs_;  // null when nothing more is to be taken
    const MapPlan plan_;
    MapGrain batch_;
    std::shared_ptr<Job> job_;  // null when closed
    std::size_t in_flight_ = 0;
    std::exception_ptr error_;  // what ended the inputs; thrown after what is in flight
};

}  // namespace cofutures::detail
