#include <cofutures/detail/state_base.hpp>

#include <cofutures/error.hpp>
#include <cofutures/detail/ahead_tasks.hpp>
#include <cofutures/detail/callback_error.hpp>
#include <cofutures/detail/remote_task.hpp>

#include "core/blocking_waiter.hpp"
#include "core/completion_scope.hpp"
#include "core/run_in_place.hpp"
#include "core/spin.hpp"
#include "core/task_account.hpp"
#include "core/wait_graph.hpp"

#include <boost/assert.hpp>
#include <boost/core/demangle.hpp>

#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <thread>
#include <typeinfo>
#include <utility>
#include <vector>

namespace cofutures::detail {

namespace {

const char* name_of(Phase phase) noexcept {
    switch (phase) {
    case Phase::pending:
        return "pending";
    case Phase::running:
    case Phase::completing:
        return "running";
    case Phase::cancelling:
    case Phase::cancelled:
    case Phase::cancelled_notified:
        return "cancelled";
    case Phase::returned:
    case Phase::raised:
        break;
    }
    return "finished";
}

std::string type_name_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return boost::core::demangle(typeid(exception).name());
    } catch (...) {
        return "an exception of unknown type";
    }
}

}  // namespace

StateBase::~StateBase() {
    BOOST_ASSERT_MSG(waiters_.empty(), "whoever waits holds the future");
}

// --- the word -----------------------------------------------------------------------------------

bool StateBase::change_phase(Phase from, Phase to, std::uint32_t* before) noexcept {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while (phase_of(word) == from) {
        if (word_.compare_exchange_weak(
                word, with_phase(word, to), std::memory_order_acq_rel, std::memory_order_relaxed
            )) {
            if (before != nullptr) {
                *before = word;
            }
            return true;
        }
    }
    return false;
}

bool StateBase::lock_unless_done() const noexcept {
    std::uint32_t word = word_.load(std::memory_order_acquire);
    for (;;) {
        if (is_final(phase_of(word))) {
            return false;
        }
        if ((word & lock_bit) != 0) {
            std::this_thread::yield();
            word = word_.load(std::memory_order_acquire);
        } else if (word_.compare_exchange_weak(
                       word, word | lock_bit, std::memory_order_acquire, std::memory_order_acquire
                   )) {
            return true;
        }
    }
}

void StateBase::wait_for_readers() const noexcept {
    while ((word_.load(std::memory_order_acquire) & lock_bit) != 0) {
        std::this_thread::yield();
    }
}

void StateBase::unlock(std::uint32_t changed_bits) const noexcept {
    word_.fetch_xor(lock_bit | changed_bits, std::memory_order_release);
}

bool StateBase::add(Waiter& waiter) noexcept {
    if (!lock_unless_done()) {
        return false;
    }
    const bool was_empty = waiters_.empty();
    waiters_.push_back(waiter);
    unlock(was_empty ? waiters_bit : 0);
    return true;
}

bool StateBase::remove(Waiter& waiter) noexcept {
    if (!lock_unless_done()) {
        return false;
    }
    waiters_.erase(waiter);
    unlock(waiters_.empty() ? waiters_bit : 0);
    return true;
}

// --- ending -------------------------------------------------------------------------------------

// Makes the phase final unless there are waiters to be told.
bool StateBase::finish_alone(Phase final_phase) noexcept {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while ((word & waiters_bit) == 0) {
        if ((word & lock_bit) != 0) {  // one may be coming
            std::this_thread::yield();
            word = word_.load(std::memory_order_relaxed);
        } else if (word_.compare_exchange_weak(
                       word,
                       with_phase(word, final_phase),
                       std::memory_order_seq_cst,
                       std::memory_order_relaxed
                   )) {
            return true;
        }
    }
    return false;
}

// Makes the phase final and gives the waiters to be told first; adds nobody any more.
WaiterList StateBase::finish(Phase final_phase) noexcept {
    static_cast<void>(lock_unless_done());  // it is not: the caller ends it
    WaiterList releasers = waiters_.take(Waiter::Role::thread);
    WaiterList operations = waiters_.take(Waiter::Role::operation);
    waiters_.append(operations);
    const std::uint32_t busy = waiters_.empty() ? 0 : busy_bit;
    // Phase, lock and list are ours; other bits may still change.
    const std::uint32_t word = word_.load(std::memory_order_relaxed);
    const std::uint32_t next = with_phase(word & ~(lock_bit | waiters_bit), final_phase) | busy;
    word_.fetch_xor(word ^ next, std::memory_order_seq_cst);
    return releasers;
}

void StateBase::publish(Phase final_phase, bool deferred) noexcept {
    if (finish_alone(final_phase)) {
        drop_unreadable_value();
        return;
    }
    WaiterList releasers = finish(final_phase);
    while (Waiter* waiter = releasers.pop_front()) {
        waiter->notify(*this);
    }
    if ((word_.load(std::memory_order_relaxed) & busy_bit) == 0) {
        finish_callbacks();
        return;
    }
    if (CompletionScope* scope = CompletionScope::innermost(); deferred && scope != nullptr) {
        scope->defer(*this);
        return;
    }
    CompletionScope(*this).run();
}

// Tells callbacks and operations, then destroys a value that nobody can read any more. A callback
// that blocks has the rest of this done first, in a nested call on its thread: each waiter is taken
// off the list before it is told, and what is done already is not done again.
void StateBase::finish_callbacks() noexcept {
    if ((word_.load(std::memory_order_relaxed) & busy_bit) != 0) {
        while (waiters_.starts_with(Waiter::Role::callback)) {
            waiters_.pop_front()->notify(*this);
        }
        // From here on an operation's handler may be the only reader, and move the value out.
        word_.fetch_and(~busy_bit, std::memory_order_seq_cst);
        while (Waiter* waiter = waiters_.pop_front()) {
            waiter->notify(*this);
        }
    }
    drop_unreadable_value();
}

void StateBase::set_place_here() noexcept {
    set_place(WorkerContext::current());
}

namespace {

// A value may hold the last handle on another future, whose value holds the next, and so on: beyond
// some depth they wait until the first has been destroyed.
constexpr int deepest_destruction = 100;
constinit thread_local int destruction_depth = 0;
constinit thread_local std::vector<StatePtr>* put_off = nullptr;  // null for none

bool try_put_off(StateBase& state) noexcept {
    try {
        if (put_off == nullptr) {
            put_off = new std::vector<StatePtr>();
        }
        put_off->emplace_back(&state);
        return true;
    } catch (const std::bad_alloc&) {
        return false;  // deeper, then
    }
}

}  // namespace

void StateBase::destroy_value_in_turn() noexcept {
    if (destruction_depth >= deepest_destruction && try_put_off(*this)) {
        return;
    }
    ++destruction_depth;
    destroy_value();
    if (destruction_depth == 1 && put_off != nullptr) {
        while (!put_off->empty()) {
            const StatePtr next = std::move(put_off->back());
            put_off->pop_back();
            next->destroy_value();
        }
        delete std::exchange(put_off, nullptr);
    }
    --destruction_depth;
}

void StateBase::last_handle_is_gone() noexcept {
    drop_unreadable_value();
    release_reference();
}

// Destroys the value if nobody can read it any more. The last handle, the finisher and the promise
// each call this after a sequentially consistent write that says they are through: the last of the
// three sees all, and the consumed bit lets only one of them act.
void StateBase::drop_unreadable_value() noexcept {
    if (handles_.load(std::memory_order_seq_cst) != 0) {
        return;
    }
    const std::uint32_t word = word_.load(std::memory_order_seq_cst);
    const Phase now = phase_of(word);
    const bool holds_something =
        now == Phase::raised || (now == Phase::returned && (word & plain_bit) == 0);
    if (!holds_something || (word & (busy_bit | kept_bit)) != 0 || !consume()) {
        return;
    }
    if (now == Phase::returned) {
        destroy_value_in_turn();
        return;
    }
    const std::exception_ptr error = std::exchange(error_, nullptr);
    if (!looked_at_.load(std::memory_order_relaxed)) {
        report_unobserved_exception(error);
    }
}

bool StateBase::cancel() noexcept {
    std::shared_ptr<TaskAccount> made_room;
    RemoteTask::Ahead ahead;
    {
        // Counted under the lock bit: who comes to the task next waits for it, and only then may
        // the account go.
        if (!lock_unless_done()) {
            return cancelled();
        }
        const Unlock unlock{*this};
        if (phase() == Phase::pending && (word_.load(std::memory_order_acquire) & ahead_bit) != 0) {
            ahead = remote()->ahead;
            if (!ahead.tasks->prevent(ahead.number)) {
                return false;
            }
        }
        if (!change_phase(Phase::pending, Phase::cancelling)) {
            return phase() == Phase::cancelling;
        }
        if (account_ != nullptr) {
            made_room = account_->cancelled();
        }
    }
    const StatePtr keep(this);  // what is destroyed or called now may drop the last handle
    if (made_room != nullptr) {
        std::exchange(made_room, nullptr)->room_made();
    }
    if (ahead.tasks != nullptr) {
        ahead.tasks->cancelled(ahead.task);
    }
    if (has_work()) {
        destroy_work();
    }
    publish(Phase::cancelled, false);
    return true;
}

// --- sent ahead ---------------------------------------------------------------------------------

bool StateBase::send_ahead(
    std::shared_ptr<AheadTasks> tasks, std::uint64_t number, std::uint64_t task
) {
    // Nobody looks at it before the bit is set.
    remote()->ahead = {.tasks = std::move(tasks), .number = number, .task = task};
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while (phase_of(word) == Phase::pending) {
        if ((word & lock_bit) != 0) {  // it may be cancelled at this moment, without the worker
            std::this_thread::yield();
            word = word_.load(std::memory_order_relaxed);
        } else if (word_.compare_exchange_weak(
                       word, word | ahead_bit, std::memory_order_acq_rel, std::memory_order_relaxed
                   )) {
            return true;
        }
    }
    remote()->ahead = {};
    return false;
}

void StateBase::come_back() noexcept {
    if ((word_.load(std::memory_order_relaxed) & ahead_bit) != 0) {
        word_.fetch_and(~ahead_bit, std::memory_order_acq_rel);
        wait_for_readers();
        remote()->ahead = {};
    }
}

bool StateBase::has_begun_ahead() const noexcept {
    if (!lock_unless_done()) {
        return false;
    }
    const Unlock unlock{*this};
    const std::uint32_t word = word_.load(std::memory_order_acquire);
    if (phase_of(word) != Phase::pending || (word & ahead_bit) == 0) {
        return phase_of(word) == Phase::running || phase_of(word) == Phase::completing;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): only looks
    const RemoteTask::Ahead& ahead = const_cast<StateBase*>(this)->remote()->ahead;
    return ahead.tasks->begun(ahead.number);
}

bool StateBase::abandon(std::exception_ptr error) noexcept {
    if (!change_phase(Phase::pending, Phase::completing)) {
        wait_for_readers();
        return false;
    }
    if (has_work()) {
        destroy_work();
    }
    if (account_ != nullptr) {
        account_->lost(*this);
    }
    finish_with_error(std::move(error));
    return true;
}

bool StateBase::set_running_or_notify_cancel() {
    if (try_claim()) {
        return true;
    }
    // A promise has no callable: another thread's cancel() is through in a few instructions.
    while (phase() == Phase::cancelling) {
        std::this_thread::yield();
    }
    if (change_phase(Phase::cancelled, Phase::cancelled_notified)) {
        return false;
    }
    throw InvalidStateError(
        std::string("set_running_or_notify_cancel: the future is already ") + name_of(phase())
    );
}

void StateBase::begin_completion() {
    if (!try_begin_completion()) {
        throw InvalidStateError(
            std::string("a result cannot be set: the future is already ") + name_of(phase())
        );
    }
}

void StateBase::finish_with_error(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    publish(Phase::raised, false);
}

void StateBase::finish_continuation_with_error(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    publish(Phase::raised, true);
}

// --- running ------------------------------------------------------------------------------------

void StateBase::mark(Marks marks) noexcept {
    const std::uint32_t bits =
        (marks.watched ? watched_bit : 0) | (marks.in_queue ? queued_bit : 0);
    if (bits != 0) {
        word_.fetch_or(bits, std::memory_order_relaxed);
    }
}

void StateBase::enter(const TaskPlace* place, TaskAccount& account, Marks marks) noexcept {
    set_place(place);
    account_ = &account;
    mark(marks);
}

bool StateBase::enter_if_pending(
    const TaskPlace* place, TaskAccount& account, Marks marks
) noexcept {
    if (!lock_unless_done()) {
        return false;
    }
    const Unlock unlock{*this};
    if (phase() != Phase::pending) {
        return false;
    }
    // Whoever cancels it counts under the lock bit, and so sees the account.
    enter(place, account, marks);
    return true;
}

bool StateBase::begin_run(StateBase*& outer) noexcept {
    std::uint32_t before = 0;
    if (!change_phase(Phase::pending, Phase::running, &before)) {
        wait_for_readers();  // it may be counted as cancelled at this moment
        return false;
    }
    if (WorkerContext* worker = WorkerContext::current()) {
        set_place(worker);
        outer = worker->run(this);
        if (worker->counts_for(account_)) {
            worker->count_begun();
        }
    }
    if ((before & (watched_bit | queued_bit)) != 0) {
        account_->begun(*this);
    }
    return true;
}

void StateBase::end_run(StateBase* outer, bool failed) noexcept {
    // Whoever sees the future done shall find it counted.
    if (WorkerContext* worker = WorkerContext::current()) {
        worker->run(outer);
        if (worker->counts_for(account_)) {
            worker->count_ended(failed);
        }
    }
    if ((word_.load(std::memory_order_relaxed) & watched_bit) != 0) {
        account_->ended(*this, failed);
    }
}

void StateBase::leave_run(StateBase* outer, const TaskPlace* place) noexcept {
    if (WorkerContext* worker = WorkerContext::current()) {
        worker->run(outer);
        if (worker->counts_for(account_)) {
            worker->count_left();
        }
    }
    set_place(place);
}

void StateBase::end_elsewhere(bool failed) noexcept {
    if (account_ != nullptr) {
        account_->ended_elsewhere(failed);
        if ((word_.load(std::memory_order_relaxed) & watched_bit) != 0) {
            account_->ended(*this, failed);
        }
    }
}

// --- waiting and reading ------------------------------------------------------------------------

bool StateBase::wait_until_done(const Deadline& deadline) {
    // What this thread has put off may be what it is about to wait for.
    CompletionScope::run_all();
    if (has_passed(deadline)) {
        return done();
    }
    if (WorkerContext* const worker = WorkerContext::current()) {
        while (run_dependency_in_place(*this, *worker)) {
            if (done() || has_passed(deadline)) {
                return done();
            }
        }
    }
    return wait_for_others(deadline);
}

bool StateBase::wait_for_others(const Deadline& deadline) {
    if (done() || has_passed(deadline)) {
        return done();
    }
    if (spin_until([this] { return done(); })) {
        return true;
    }
    WorkerContext* const worker = WorkerContext::current();
    // First of all, as it may bring a worker that does what is waited for.
    const BlockedWorker blocked(worker);
    BlockingWaiter waiter;
    // A wait with a deadline ends by itself.
    std::optional<WaitEdge> edge;
    if (!deadline) {
        edge.emplace(worker, *this, waiter);
    }
    if (!add(waiter) || waiter.sleep(deadline)) {
        return true;
    }
    if (!remove(waiter)) {
        waiter.sleep_until_told();  // at this very moment
        return true;
    }
    if (edge) {
        edge->throw_refusal();
    }
    return false;
}

std::exception_ptr StateBase::error() const {
    switch (phase()) {
    case Phase::raised:
        look();
        return error_;
    case Phase::cancelled:
    case Phase::cancelled_notified:
        throw CancelledError();
    default:
        return nullptr;
    }
}

void StateBase::throw_error() const {
    if (std::exception_ptr raised = error()) {
        std::rethrow_exception(std::move(raised));
    }
}

void StateBase::throw_consumed() {
    throw InvalidStateError("the value was already moved out of the future");
}

void StateBase::describe(std::ostream& out, std::string_view value_type) const {
    const Phase now = phase();
    out << "<Future at " << static_cast<const void*>(this)
        << " state=" << (running() ? "running" : name_of(now));
    if (now == Phase::returned) {
        out << " returned " << value_type;
    } else if (now == Phase::raised) {
        out << " raised " << type_name_of(error_);
    }
    out << '>';
}

}  // namespace cofutures::detail
