#include "core/wait_graph.hpp"

#include <cofutures/error.hpp>

#include "core/fork_count.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cofutures::detail {

constinit std::mutex wait_graph_mutex;

namespace {

// Of all waits there are; guarded by the mutex.
constinit WaitEdge* first_edge = nullptr;

}  // namespace

/// Finds out whether a future could never end if the calling worker waited for it. Under
/// wait_graph_mutex.
///
/// All that the future depends on becomes a graph: futures that need several others, all or any of
/// them; workers, which need what they wait for; pools without a worker to spare, whose tasks, or
/// whose handlers, need any of their workers; and ends of pools, which need all of them. Who needs
/// nobody can go on, and so, step by step, can whoever needs only such. The rest is stuck: the
/// calling worker, and who needs it. Each is looked at once, and none on top of another, as there
/// may be very many.
class WaitGraph {
public:
    /// Of other workers than the caller, whatever they wait for.
    struct GoOn {
        bool all = false;
        const TaskPool* pool = nullptr;  ///< that pool's
    };

    /// @param caller  Null for a thread that is no worker.
    /// @param go_on   Who is taken to go on.
    WaitGraph(const WorkerContext* caller, GoOn go_on) : caller_(caller), go_on_(go_on) {}

    /// Whether `future` cannot end before the calling worker goes on.
    bool cannot_end(StatePtr future) {
        goal_ = need_of(std::move(future));
        for (std::size_t index = 0; index < nodes_.size(); ++index) {
            expand(index);
        }
        let_go_on();
        return is_stuck(goal_);
    }

    static void add(WaitEdge& edge) noexcept {
        if (edge.worker_ != nullptr) {
            edge.worker_->edge_ = &edge;
        }
        edge.next_ = first_edge;
        if (edge.next_ != nullptr) {
            edge.next_->previous_ = &edge;
        }
        first_edge = &edge;
    }
    static void remove(WaitEdge& edge) noexcept {
        if (edge.worker_ != nullptr) {
            edge.worker_->edge_ = nullptr;
        }
        (edge.previous_ != nullptr ? edge.previous_->next_ : first_edge) = edge.next_;
        if (edge.next_ != nullptr) {
            edge.next_->previous_ = edge.previous_;
        }
    }

    /// Refuses waits that could never end, until those that are left can.
    static void refuse_all() {
        // First those that would not end even if everybody else went on. Then one of those that
        // wait for each other: the others may go on when it does.
        while (refuse_stuck({.all = true}, false) || refuse_stuck({}, true)) {
        }
    }

    [[nodiscard]] std::string describe() const {
        std::string text = "the wait would never end: ";
        if (away_) {
            return text + "in a forked child there are none of the pool's threads; make another "
                          "pool in the child, or fork before the call is submitted";
        }
        const Way way = way_to_the_end();
        if (way.empty()) {
            return text + "what it waits for waits for itself";
        }
        if (gone_ != nullptr && !leads_to_caller(way)) {
            return text + "no thread of " + gone_->label() +
                   " is left to run it, as the pool was shut down, or broke";
        }
        if (!leads_to_caller(way)) {
            return text + "it blocks a thread of the very context that is to end it; co_await the "
                          "future, or wait on another thread";
        }
        return text + label(*caller_) + describe(way);
    }

    /// Refuses waits of a pool's workers, as the pool would never end; says whether there was any
    /// to refuse.
    static bool refuse_waits_in(const TaskPool& pool, const WorkerContext* caller) {
        // Those that would never end even if all others of the pool did; if there are none, they
        // wait for each other, and any will do.
        return refuse_waits_in(pool, caller, {.pool = &pool}) || refuse_waits_in(pool, caller, {});
    }

private:
    static constexpr std::size_t nobody = SIZE_MAX;
    // Of many futures any of which suffices, one of the first will do nearly always.
    static constexpr std::size_t first_look = 16;

    struct Need {
        std::size_t node = nobody;  // it ends by itself
        StatePtr task{};            // what is needed of the node, if it has a name
    };

    // One of four kinds, or what never ends.
    struct Node {
        StatePtr gathering{};
        const WorkerContext* worker = nullptr;
        const TaskPlace* queue = nullptr;
        const TaskPool* ending = nullptr;

        Dependencies needed{};  // by the gathering, until it is expanded
        std::vector<Need> needs{};
        std::vector<std::size_t> needed_by{};
        std::size_t missing = 0;  // so many of `needs` must yet be able to go on
    };

    // What has to come before a future, at the end of the chain that it may be a link of.
    Need need_of(StatePtr future) {
        std::vector<StatePtr> links;
        Need need;
        while (!future->done()) {
            if (const auto known = known_.find(future); known != known_.end()) {
                need = known->second;
                break;
            }
            Dependencies needed = future->dependencies(first_look);
            if (needed.futures.empty()) {
                need = place_of(std::move(future));
                break;
            }
            if (needed.futures.size() > 1 || future->place() != nullptr) {
                const void* const key = future.get();
                need.node =
                    node(key, {.gathering = std::move(future), .needed = std::move(needed)});
                break;
            }
            if (!nodes_.empty()) {  // others may lead into the same chain
                links.push_back(std::move(future));
            }
            future = std::move(needed.futures.front());
        }
        for (StatePtr& link : links) {
            known_.emplace(std::move(link), need);
        }
        return need;
    }

    Need place_of(StatePtr future) {
        const TaskPlace* const place = future->place();
        if (place == nullptr) {
            return {};  // a promise, or work that is nobody's here: it may end at any time
        }
        const WorkerContext* const worker = place->worker();
        const TaskPool& pool = place->pool();
        if (!pool.is_at_home()) {
            away_ = true;
            return {node(&away_, {})};
        }
        if (worker != nullptr) {
            return goes_on(*worker) ? Need()
                                    : Need{node(worker, {.worker = worker}), std::move(future)};
        }
        if (pool.needs_this_thread()) {
            return {node(&away_, {})};
        }
        if (place->is_end()) {
            return std::ranges::all_of(pool.workers_, [&](auto* each) { return goes_on(*each); })
                       ? Need()
                       : Need{node(place, {.ending = &pool})};
        }
        // It is queued, or a handler is to go on with it.
        if (!indices_.contains(place) && has_worker_to_spare(*place)) {
            return {};
        }
        if (pool.workers_.empty() && place == &pool.handlers()) {
            gone_ = &pool;
            return {node(&gone_, {})};
        }
        return {node(place, {.queue = place}), std::move(future)};
    }

    [[nodiscard]] bool goes_on(const WorkerContext& worker) const {
        return &worker != caller_ && (go_on_.all || &worker.pool() == go_on_.pool ||
                                      (worker.stand_in_ == nullptr &&
                                       (worker.edge_ == nullptr || worker.edge_->is_refused())));
    }

    // Whether only workers that run handlers will do for what is queued. Until a pool has all of
    // these, whoever is there or comes may be one.
    static bool needs_handler_worker(const TaskPlace& queue) {
        const TaskPool& pool = queue.pool();
        if (&queue == &pool) {
            return false;
        }
        const auto count = std::ranges::count_if(pool.workers_, &WorkerContext::runs_handlers);
        return static_cast<std::size_t>(count) >= pool.most_handler_workers();
    }

    static bool will_do(const WorkerContext& worker, bool for_handlers) {
        return worker.stands_in_for_ == nullptr && (!for_handlers || worker.runs_handlers());
    }

    [[nodiscard]] bool has_worker_to_spare(const TaskPlace& queue) const {
        const bool for_handlers = needs_handler_worker(queue);
        std::size_t count = 0;
        for (const WorkerContext* worker : queue.pool().workers_) {
            if (will_do(*worker, for_handlers)) {
                if (goes_on(*worker)) {
                    return true;
                }
                ++count;
            }
        }
        const TaskPool& pool = queue.pool();
        return !for_handlers &&
               count < (&queue == &pool ? pool.most_workers() : pool.most_workers_without_tasks());
    }

    std::size_t node(const void* key, Node node) {
        const auto [found, is_new] = indices_.try_emplace(key, nodes_.size());
        if (is_new) {
            nodes_.push_back(std::move(node));
        }
        return found->second;
    }

    [[nodiscard]] bool never_ends(const Node& node) const {
        return node.worker != nullptr
                   ? node.worker == caller_
                   : node.gathering == nullptr && node.queue == nullptr && node.ending == nullptr;
    }

    struct Needs {
        std::vector<Need> all;
        bool any_suffices = false;
    };

    // References into nodes_ do not outlast need_of() and node().
    Needs needs_of(std::size_t index) {
        Needs needs;
        if (const WorkerContext* const worker = nodes_[index].worker) {
            if (worker->stand_in_ != nullptr) {
                needs.all.push_back({node(worker->stand_in_, {.worker = worker->stand_in_})});
            } else if (!goes_on(*worker)) {
                needs.all.push_back(need_of(StatePtr(&worker->edge_->awaited_)));
            }
        } else if (const TaskPool* const ending = nodes_[index].ending) {
            for (const WorkerContext* each : ending->workers_) {
                needs.all.push_back({node(each, {.worker = each})});
            }
        } else if (const TaskPlace* const queue = nodes_[index].queue) {
            needs.any_suffices = true;
            const bool for_handlers = needs_handler_worker(*queue);
            for (const WorkerContext* any : queue->pool().workers_) {
                if (will_do(*any, for_handlers)) {
                    needs.all.push_back({node(any, {.worker = any})});
                }
            }
        } else {
            Dependencies needed = std::exchange(nodes_[index].needed, {});
            if (!add_needs(needed, needs) && needed.futures.size() == first_look) {
                needed = nodes_[index].gathering->dependencies();
                add_needs(needed, needs);
            }
            const StatePtr future = nodes_[index].gathering;
            if (future->place() != nullptr && !future->done()) {
                needs.all.push_back(place_of(future));  // and somebody who goes on with it then
            }
        }
        return needs;
    }

    // Whether it suffices that one of them ends by itself.
    bool add_needs(const Dependencies& needed, Needs& needs) {
        needs.all.clear();
        needs.any_suffices = needed.any_suffices;
        for (const StatePtr& future : needed.futures) {
            needs.all.push_back(need_of(future));
            if (needs.any_suffices && needs.all.back().node == nobody) {
                return true;
            }
        }
        return false;
    }

    void expand(std::size_t index) {
        if (never_ends(nodes_[index])) {
            nodes_[index].missing = 1;
            return;
        }
        auto [needs, any_suffices] = needs_of(index);
        const auto ends = [](const Need& need) {
            return need.node == nobody;
        };
        if (any_suffices ? std::ranges::any_of(needs, ends) : std::ranges::all_of(needs, ends)) {
            return;
        }
        std::erase_if(needs, ends);
        for (const Need& need : needs) {
            nodes_[need.node].needed_by.push_back(index);
        }
        nodes_[index].missing = any_suffices ? 1 : needs.size();
        nodes_[index].needs = std::move(needs);
    }

    // Says of everybody whether they can go on.
    void let_go_on() {
        std::vector<std::size_t> free;
        for (std::size_t index = 0; index < nodes_.size(); ++index) {
            if (nodes_[index].missing == 0) {
                free.push_back(index);
            }
        }
        while (!free.empty()) {
            const std::size_t index = free.back();
            free.pop_back();
            for (const std::size_t other : nodes_[index].needed_by) {
                if (nodes_[other].missing != 0 && --nodes_[other].missing == 0) {
                    free.push_back(other);
                }
            }
        }
    }

    [[nodiscard]] bool is_stuck(const Need& need) const {
        return need.node != nobody && nodes_[need.node].missing != 0;
    }

    // The shortest way from what is awaited to what never ends, over those that are stuck.
    using Way = std::vector<const Need*>;
    [[nodiscard]] Way way_to_the_end() const {
        std::vector<const Need*> reached_by(nodes_.size());
        std::vector<std::size_t> reached_from(nodes_.size(), nobody);
        std::vector<std::size_t> found{goal_.node};
        reached_by[goal_.node] = &goal_;
        for (std::size_t next = 0; next < found.size(); ++next) {
            const std::size_t index = found[next];
            if (never_ends(nodes_[index])) {
                Way way;
                for (std::size_t at = index; at != nobody; at = reached_from[at]) {
                    way.push_back(reached_by[at]);
                }
                std::ranges::reverse(way);
                return way;
            }
            for (const Need& need : nodes_[index].needs) {
                if (is_stuck(need) && reached_by[need.node] == nullptr) {
                    reached_by[need.node] = &need;
                    reached_from[need.node] = index;
                    found.push_back(need.node);
                }
            }
        }
        return {};
    }

    [[nodiscard]] bool leads_to_caller(const Way& way) const {
        return caller_ != nullptr && !way.empty() && nodes_[way.back()->node].worker == caller_;
    }

    // Those on a way, after the one that is named already.
    [[nodiscard]] std::string describe(const Way& way) const {
        std::string text;
        for (const Need* need : way) {
            if (const std::string name = label(*need); !name.empty()) {
                text += waits + name;
            }
        }
        if (leads_to_caller(way) && way.back()->task && way.back()->task != caller_->task_) {
            text += waits + label(*caller_);  // which runs in place of it, and so it waits for that
        }
        return text;
    }

    static bool refuse_waits_in(const TaskPool& pool, const WorkerContext* caller, GoOn go_on) {
        bool refused = false;
        for (const WorkerContext* worker : pool.workers_) {
            if (worker->edge_ == nullptr || worker->edge_->is_refused()) {
                continue;
            }
            WaitGraph graph(caller, go_on);
            if (graph.cannot_end(StatePtr(&worker->edge_->awaited_))) {
                graph.refuse(*worker, pool);
                refused = true;
                if (go_on.pool == nullptr) {
                    break;
                }
            }
        }
        return refused;
    }

    // Whether it refused any: all that are stuck, or the first that others wait for in turn.
    static bool refuse_stuck(GoOn go_on, bool first_in_a_cycle) {
        bool refused = false;
        for (WaitEdge* edge = first_edge; edge != nullptr; edge = edge->next_) {
            if (edge->is_refused()) {
                continue;
            }
            WaitGraph graph(edge->worker_, go_on);
            if (!graph.cannot_end(StatePtr(&edge->awaited_))) {
                continue;
            }
            if (!first_in_a_cycle) {
                edge->refuse(graph.describe());
                refused = true;
            } else if (graph.leads_to_caller(graph.way_to_the_end())) {
                edge->refuse(graph.describe());
                return true;
            }
        }
        return refused;
    }

    // The wait of a worker, which this graph is of.
    void refuse(const WorkerContext& worker, const TaskPool& ending) const {
        const Way way = way_to_the_end();
        std::string text = "the wait would never end: " + label(worker);
        if (way.empty()) {
            text += waits + std::string("itself");
        } else {
            text += describe(way);
            if (!leads_to_caller(way)) {
                text += waits + std::string("the thread that destroys its pool");
            }
            text += waits + ("the end of " + ending.label());
        }
        worker.edge_->refuse(std::move(text));
    }

    static constexpr const char* waits = ", which waits for ";

    // Empty for what has no name.
    [[nodiscard]] std::string label(const Need& need) const {
        const Node& node = nodes_[need.node];
        if (need.task) {
            return label(*need.task);
        }
        if (node.worker != nullptr) {
            return label(*node.worker);
        }
        return node.ending != nullptr ? "the end of " + node.ending->label() : std::string();
    }
    static std::string label(const StateBase& task) { return '"' + task.label() + '"'; }
    static std::string label(const WorkerContext& worker) {
        return worker.task_ == nullptr ? std::string(worker.pool().worker_label())
                                       : label(*worker.task_);
    }

    const WorkerContext* const caller_;
    const GoOn go_on_;
    bool away_ = false;               // a pool of another process is among them
    const TaskPool* gone_ = nullptr;  // one without threads, and nobody starts any
    Need goal_;
    std::vector<Node> nodes_;
    std::unordered_map<const void*, std::size_t> indices_;  // by what the nodes stand for
    std::map<StatePtr, Need> known_;                        // of links of chains
};

void refuse_endless_waits() noexcept {
    try {
        WaitGraph::refuse_all();
    } catch (const std::bad_alloc&) {
        return;  // they wait as if nobody had looked
    }
}

void forget_waits() noexcept {
    first_edge = nullptr;
}

void refuse_endless_wait(StateBase& awaited) {
    const std::lock_guard lock(wait_graph_mutex);
    WaitGraph graph(WorkerContext::current(), {});
    if (graph.cannot_end(StatePtr(&awaited))) {
        throw DeadlockError(graph.describe());
    }
}

namespace {

// Whether there was any to refuse.
bool refuse_waits_that_keep(StateBase& end) {
    const std::lock_guard lock(wait_graph_mutex);
    // A pool that is gone has ended before; as long as it has not, this is its place.
    return end.done() || WaitGraph::refuse_waits_in(end.place()->pool(), WorkerContext::current());
}

}  // namespace

void wait_for_end(StateBase& end) noexcept {
    const auto wait_a_while = [&] {
        end.wait(Clock::now() + std::chrono::milliseconds(10));  // which needs no memory
    };
    bool looks_again = false;
    while (!end.done()) {
        try {
            try {
                if (looks_again) {
                    refuse_endless_wait(end);
                    wait_a_while();
                } else {
                    end.wait(std::nullopt);
                }
            } catch (const DeadlockError&) {
                // A thread that is no worker is not in the graph: whoever comes to wait for it
                // later is not refused at once.
                looks_again = WorkerContext::current() == nullptr;
                if (!refuse_waits_that_keep(end)) {
                    wait_a_while();
                }
            }
        } catch (const std::bad_alloc&) {
            wait_a_while();
        }
    }
}

WaitEdge::WaitEdge(WorkerContext* worker, StateBase& awaited, Sleeper& sleeper)
    : worker_(worker), awaited_(awaited), sleeper_(sleeper) {
    watch_forks();
    if (worker != nullptr) {
        worker->pool().worker_waits();
    }
    const std::lock_guard lock(wait_graph_mutex);
    WaitGraph graph(worker, {});
    if (graph.cannot_end(StatePtr(&awaited))) {
        throw DeadlockError(graph.describe());
    }
    WaitGraph::add(*this);
}

WaitEdge::~WaitEdge() {
    const std::lock_guard lock(wait_graph_mutex);
    WaitGraph::remove(*this);
}

void WaitEdge::refuse(std::string why) noexcept {
    refusal_ = std::move(why);
    is_refused_.store(true, std::memory_order_release);
    sleeper_.wake();
}

void WaitEdge::throw_refusal() const {
    throw DeadlockError(refusal_);
}

}  // namespace cofutures::detail
