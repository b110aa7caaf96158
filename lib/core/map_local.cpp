#include <cofutures/detail/map_local.hpp>

#include <cofutures/detail/map_grain.hpp>

#include <boost/assert.hpp>

#include <algorithm>
#include <string>
#include <vector>

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
            job->drain(*this);
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
            job->drainer_was_lost(*this, phase() == Phase::raised ? error() : nullptr);
        }
    }

    /// The numbers of the items that it has claimed last. Under the job's mutex.
    struct Numbers {
        std::size_t first = 0;
        std::size_t end = 0;
    };
    Numbers claimed;

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

// --- adding items --------------------------------------------------------------------------------

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
    // All may have begun with what there was before: then another one is to stand in the queue.
    const bool none_stands = queued_ == 0 && unclaimed_.count != 0;
    const std::size_t wanted = std::max<std::size_t>(missing, config_.lazy || none_stands ? 1 : 0);
    drainers_ += wanted;
    queued_ += wanted;
    return wanted;
}

// The caller has counted it, and takes that back if this throws.
void LocalMapJob::start_drainer() {
    const boost::intrusive_ptr<Drainer> drainer(
        new Drainer(std::static_pointer_cast<LocalMapJob>(shared_from_this()))
    );
    {
        const std::lock_guard lock(mutex_);
        started_.push_back(drainer);
    }
    static_cast<void>(drainer->add(*drainer));
    try {
        sink().submit(drainer);
    } catch (...) {
        const bool told = !drainer->remove(*drainer);
        const std::lock_guard lock(mutex_);
        if (told) {
            // It was failed, and has said so: drainer_was_lost() took it from the counts.
            ++drainers_;
            ++queued_;
        } else {
            forget(*drainer);
        }
        throw;
    }
}

// Under the mutex.
void LocalMapJob::forget(const Drainer& drainer) noexcept {
    std::erase_if(started_, [&](const auto& other) { return other.get() == &drainer; });
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

// --- draining ------------------------------------------------------------------------------------

void LocalMapJob::drain(Drainer& self) noexcept {
    MapGrain grain(config_.grain);
    auto begun = Clock::now();
    const auto end_of_turn =
        sink().has_other_work() ? begun + turn_length : Clock::time_point::max();
    if (begin_draining()) {
        try_start_drainer();  // in vain after a shutdown: then those that there are do it all
    }
    for (;;) {
        const MapRun items = claim(self, grain.size());
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
            forget(self);
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
MapRun LocalMapJob::claim(Drainer& self, std::size_t wanted) noexcept {
    const std::lock_guard lock(mutex_);
    if (unclaimed_.count == 0) {
        --drainers_;
        forget(self);
        return {};
    }
    const std::size_t fair = std::max<std::size_t>(unclaimed_.count / (4 * workers_), 1);
    const MapRun items = unclaimed_.pop_front(config_.grain != 0 ? wanted : std::min(wanted, fair));
    self.claimed = {.first = claimed_, .end = claimed_ + items.count};
    claimed_ += items.count;
    return items;
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
        ++claimed_;
    }
    run_all(item);
    return true;
}

// --- waiting -------------------------------------------------------------------------------------

// Who has claimed the item that is wanted; any drainer if any item is, or nobody has claimed it.
Dependencies LocalMapJob::needs() {
    const std::lock_guard lock(mutex_);
    Dependencies needs;
    needs.any_suffices = true;
    const std::size_t wanted = delivered();
    const bool any = !ordered() || wanted >= claimed_;
    for (const auto& drainer : started_) {
        if (any || (drainer->claimed.first <= wanted && wanted < drainer->claimed.end)) {
            needs.futures.push_back(drainer);
        }
    }
    return needs;
}

// --- the end -------------------------------------------------------------------------------------

void LocalMapJob::drainer_was_lost(const Drainer& drainer, std::exception_ptr error) noexcept {
    {
        const std::lock_guard lock(mutex_);
        --drainers_;
        --queued_;
        forget(drainer);
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
        claimed_ += unclaimed.count;
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
