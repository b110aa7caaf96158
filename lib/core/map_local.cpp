#include <cofutures/detail/map_local.hpp>

#include <cofutures/detail/map_grain.hpp>

#include <boost/assert.hpp>

#include <algorithm>
#include <string>

namespace cofutures::detail {

namespace {

// How long a drainer stays before it gives way to others, where it must.
constexpr auto turn_length = std::chrono::microseconds(100);

}  // namespace

/// The task that runs items. While it waits for its turn it does not keep the map.
class LocalMapJob::Drainer final : public State<void>, public Waiter {
public:
    explicit Drainer(std::weak_ptr<LocalMapJob> job)
        : Waiter(Role::callback), job_(std::move(job)) {}

    void run() noexcept override {
        StateBase* outer = nullptr;
        if (!begin_run(outer)) {
            return;
        }
        if (const auto job = std::exchange(job_, {}).lock()) {
            job->drain();
        }
        end_run(outer);
        finish();
    }

    [[nodiscard]] std::string label() const override { return "map"; }

    void notify(StateBase& /*state*/) noexcept override {
        if (phase() == Phase::returned) {
            return;
        }
        if (const auto job = job_.lock()) {
            job->drainer_was_lost(phase() == Phase::raised ? error() : nullptr);
        }
    }

private:
    std::weak_ptr<LocalMapJob> job_;
};

LocalMapJob::LocalMapJob(std::shared_ptr<TaskSink> sink, const Config& config)
    : MapJob(std::move(sink), config.ordered),
      workers_(std::max<std::size_t>(this->sink().worker_count(), 1)),
      config_(config) {}

LocalMapJob::~LocalMapJob() {
    BOOST_ASSERT_MSG(unclaimed_.count == 0, "the range stops the map before it lets go of it");
}

// --- adding items
// ---------------------------------------------------------------------------------

std::size_t LocalMapJob::schedule(const MapRun& items, std::exception_ptr& error) {
    std::size_t wanted = append(items);
    try {
        for (; wanted != 0; --wanted) {
            start_drainer();
        }
        return items.count;
    } catch (...) {
        error = std::current_exception();
    }
    MapRun refused;
    {
        const std::lock_guard lock(mutex_);
        drainers_ -= wanted;
        queued_ -= wanted;
        // Oldest first they are claimed: what is left of these is at the end.
        MapRun older =
            unclaimed_.pop_front(unclaimed_.count - std::min(unclaimed_.count, items.count));
        refused = std::exchange(unclaimed_, older);
    }
    refused.for_each([this](MapSlot& slot) {
        destroy_arguments(slot);
        slot.phase.store(MapPhase::free, std::memory_order_relaxed);
    });
    return items.count - refused.count;
}

// Says how many drainers are to be started; they are counted already.
std::size_t LocalMapJob::append(const MapRun& items) {
    const std::lock_guard lock(mutex_);
    unclaimed_.append(items);
    const std::size_t busy = drainers_ - queued_;  // with what they have claimed
    const std::size_t useful = std::min(workers_, busy + unclaimed_.count);
    const std::size_t missing = useful - std::min(useful, drainers_);
    const std::size_t wanted = std::max<std::size_t>(missing, config_.lazy ? 1 : 0);
    drainers_ += wanted;
    queued_ += wanted;
    return wanted;
}

// The caller has counted it, and takes that back if this throws.
void LocalMapJob::start_drainer() {
    const boost::intrusive_ptr<Drainer> drainer(
        new Drainer(std::static_pointer_cast<LocalMapJob>(shared_from_this()))
    );
    static_cast<void>(drainer->add(*drainer));
    try {
        sink().submit(drainer);
    } catch (...) {
        if (drainer->remove(*drainer)) {
            throw;
        }
        // It was failed, and has told so: drainer_was_lost() took it from the counts.
        const std::lock_guard lock(mutex_);
        ++drainers_;
        ++queued_;
        throw;
    }
}

bool LocalMapJob::try_start_drainer() noexcept {
    {
        const std::lock_guard lock(mutex_);
        ++drainers_;
        ++queued_;
    }
    try {
        start_drainer();
        return true;
    } catch (...) {
        const std::lock_guard lock(mutex_);
        --drainers_;
        --queued_;
        return false;
    }
}

// --- draining
// -------------------------------------------------------------------------------------

void LocalMapJob::drain() noexcept {
    MapGrain grain(config_.grain);
    auto begun = Clock::now();
    const auto end_of_turn =
        sink().has_other_work() ? begun + turn_length : Clock::time_point::max();
    if (begin_draining()) {
        try_start_drainer();  // in vain after a shutdown: then those that there are do it all
    }
    for (;;) {
        const MapRun items = claim(grain.size());
        if (items.count == 0) {
            return;
        }
        run_all(items);
        const auto now = Clock::now();
        grain.took(items.count, now - begun);
        begun = now;
        if (now >= end_of_turn && try_start_drainer()) {
            const std::lock_guard lock(mutex_);
            --drainers_;
            return;
        }
    }
}

// Says whether another drainer must take this one's place in the executor's queue.
bool LocalMapJob::begin_draining() noexcept {
    const std::lock_guard lock(mutex_);
    --queued_;
    return queued_ == 0 && unclaimed_.count > 1;
}

// Takes items to run; without any the caller is no drainer any more.
MapRun LocalMapJob::claim(std::size_t wanted) noexcept {
    const std::lock_guard lock(mutex_);
    if (unclaimed_.count == 0) {
        --drainers_;
        return {};
    }
    const std::size_t fair = std::max<std::size_t>(unclaimed_.count / (4 * workers_), 1);
    return unclaimed_.pop_front(config_.grain != 0 ? wanted : std::min(wanted, fair));
}

void LocalMapJob::run_all(const MapRun& items) noexcept {
    items.for_each([this](MapSlot& slot) {
        if (halted_.load(std::memory_order_acquire)) {
            discard(slot);
        } else {
            run(slot);
        }
    });
}

bool LocalMapJob::help() noexcept {
    MapRun item;
    {
        const std::lock_guard lock(mutex_);
        if (unclaimed_.count == 0) {
            return false;
        }
        item = unclaimed_.pop_front(1);
    }
    run_all(item);
    return true;
}

// --- the end
// --------------------------------------------------------------------------------------

void LocalMapJob::drainer_was_lost(std::exception_ptr error) noexcept {
    {
        const std::lock_guard lock(mutex_);
        --drainers_;
        --queued_;
    }
    halt(std::move(error));
}

// Ends all that has not begun: cancelled, or with an error.
void LocalMapJob::halt(std::exception_ptr error) noexcept {
    MapRun unclaimed;
    {
        const std::lock_guard lock(mutex_);
        if (!halted_.load(std::memory_order_relaxed)) {
            halt_error_ = std::move(error);
            halted_.store(true, std::memory_order_release);
        }
        unclaimed = std::exchange(unclaimed_, {});
    }
    unclaimed.for_each([this](MapSlot& slot) { discard(slot); });
}

void LocalMapJob::discard(MapSlot& slot) noexcept {
    if (halt_error_) {
        fail(slot, halt_error_);
    } else {
        destroy_arguments(slot);
        finish(slot, MapPhase::cancelled);
    }
}

}  // namespace cofutures::detail
