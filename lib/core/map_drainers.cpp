#include <cofutures/detail/map_drainers.hpp>

#include <cofutures/detail/map_grain.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/waiter.hpp>

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
class MapDrainers::Drainer final : public State<void>, public Waiter {
public:
    explicit Drainer(std::weak_ptr<MapDrainers> job)
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
    std::weak_ptr<MapDrainers> job_;
};

MapDrainers::MapDrainers(TaskSink& sink, const Config& config)
    : sink_(sink), workers_(std::max<std::size_t>(sink.worker_count(), 1)), config_(config) {}

MapDrainers::~MapDrainers() {
    BOOST_ASSERT_MSG(unclaimed() == 0, "the range stops the map before it lets go of it");
}

// --- adding items --------------------------------------------------------------------------------

std::size_t MapDrainers::add(std::size_t count, const MapRun& linked, std::exception_ptr& error) {
    std::size_t wanted = append(count, linked);
    try {
        for (; wanted != 0; --wanted) {
            start_drainer();
        }
        return count;
    } catch (...) {
        error = std::current_exception();
    }
    MapItems refused;
    {
        const std::lock_guard lock(mutex_);
        drainers_ -= wanted;
        queued_ -= wanted;
        // Oldest first they are claimed: what is left of these is at the end.
        refused.count = std::min(unclaimed(), count);
        added_ -= refused.count;
        refused.first = added_;
        MapRun older = linked_.pop_front(linked_.count == 0 ? 0 : unclaimed());
        refused.linked = std::exchange(linked_, older);
    }
    refuse(refused);
    return count - refused.count;
}

// Says how many drainers are to be started; they are counted already.
std::size_t MapDrainers::append(std::size_t count, const MapRun& linked) {
    const std::lock_guard lock(mutex_);
    added_ += count;
    linked_.append(linked);
    const std::size_t busy = drainers_ - queued_;  // with what they have claimed
    const std::size_t useful = std::min(workers_, busy + unclaimed());
    const std::size_t missing = useful - std::min(useful, drainers_);
    // All may have begun with what there was before: then another one is to stand in the queue.
    const bool none_stands = queued_ == 0 && unclaimed() != 0;
    const std::size_t wanted = std::max<std::size_t>(missing, config_.lazy || none_stands ? 1 : 0);
    drainers_ += wanted;
    queued_ += wanted;
    return wanted;
}

// The caller has counted it, and takes that back if this throws.
void MapDrainers::start_drainer() {
    const boost::intrusive_ptr<Drainer> drainer(new Drainer(shared()));
    {
        const std::lock_guard lock(mutex_);
        started_.push_back(drainer);
    }
    static_cast<void>(drainer->add(*drainer));
    try {
        sink_.submit(drainer);
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
void MapDrainers::forget(const Drainer& drainer) noexcept {
    std::erase_if(started_, [&](const auto& other) { return other.get() == &drainer; });
}

bool MapDrainers::try_start_drainer() noexcept {
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

void MapDrainers::drain(Drainer& self) noexcept {
    MapGrain grain(config_.grain);
    auto begun = Clock::now();
    const auto end_of_turn =
        sink_.has_other_work() ? begun + turn_length : Clock::time_point::max();
    if (begin_draining()) {
        try_start_drainer();  // in vain after a shutdown: then those that there are do it all
    }
    for (;;) {
        const MapItems items = claim(self, grain.size());
        if (items.count == 0) {
            return;
        }
        const auto now = run_in_pieces(items, grain, begun);
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

// Runs items in pieces, so that it is noticed soon when they begin to take longer; says when it
// has.
Clock::time_point MapDrainers::run_in_pieces(
    const MapItems& items, MapGrain& grain, Clock::time_point begun
) noexcept {
    MapItems piece = items;
    for (std::size_t left = items.count; left != 0; left -= piece.count) {
        // Linked items are in one piece: while others link more to them, it cannot be cut.
        piece.count = items.linked.count != 0 ? left : grain.look_after(left);
        piece.instant = config_.prompt ? 1 : grain.instant();
        run(piece);
        piece.first += piece.count;
        const auto now = Clock::now();
        grain.ran(piece.count, now - begun);
        begun = now;
    }
    return begun;
}

// Says whether another drainer must take this one's place in the executor's queue.
bool MapDrainers::begin_draining() noexcept {
    const std::lock_guard lock(mutex_);
    --queued_;
    return queued_ == 0 && unclaimed() > 1;
}

// Takes items to run; without any the caller is no drainer any more.
MapItems MapDrainers::claim(Drainer& self, std::size_t wanted) noexcept {
    const std::lock_guard lock(mutex_);
    if (unclaimed() == 0) {
        --drainers_;
        forget(self);
        return {};
    }
    const std::size_t fair = std::max<std::size_t>(unclaimed() / (4 * workers_), 1);
    const MapItems items = take(config_.grain != 0 ? wanted : std::min(wanted, fair));
    self.claimed = {.first = items.first, .end = items.first + items.count};
    return items;
}

// Under the mutex.
MapItems MapDrainers::take(std::size_t count) noexcept {
    MapItems items;
    items.first = claimed_;
    items.count = std::min(count, unclaimed());
    if (linked_.count != 0) {
        items.linked = linked_.pop_front(items.count);
    }
    claimed_ += items.count;
    return items;
}

bool MapDrainers::run_one() noexcept {
    MapItems item;
    {
        const std::lock_guard lock(mutex_);
        item = take(1);
    }
    if (item.count == 0) {
        return false;
    }
    run(item);
    return true;
}

// --- waiting -------------------------------------------------------------------------------------

Dependencies MapDrainers::drainers_of(std::optional<std::size_t> item) {
    const std::lock_guard lock(mutex_);
    Dependencies needs;
    needs.any_suffices = true;
    const bool any = !item || *item >= claimed_;
    for (const auto& drainer : started_) {
        if (any || (drainer->claimed.first <= *item && *item < drainer->claimed.end)) {
            needs.futures.emplace_back(drainer);
        }
    }
    return needs;
}

// --- the end -------------------------------------------------------------------------------------

void MapDrainers::drainer_was_lost(const Drainer& drainer, std::exception_ptr error) noexcept {
    {
        const std::lock_guard lock(mutex_);
        --drainers_;
        --queued_;
        forget(drainer);
    }
    halt(std::move(error));
}

void MapDrainers::halt(std::exception_ptr error) noexcept {
    MapItems rest;
    {
        const std::lock_guard lock(mutex_);
        if (!halted_.load(std::memory_order_relaxed)) {
            halt_error_ = std::move(error);
            halted_.store(true, std::memory_order_release);
        }
        rest = take(unclaimed());
    }
    discard(rest);
}

}  // namespace cofutures::detail
