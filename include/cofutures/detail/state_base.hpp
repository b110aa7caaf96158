#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/waiter.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cofutures {

struct TaskOptions;

namespace detail {

class AheadTasks;
class RemoteTask;
class StateBase;
class TaskAccount;
class TaskPlace;

/// A counted reference to a state: keeps the memory, not the value.
using StatePtr = boost::intrusive_ptr<StateBase>;

/// What has to end before a future can end; no futures for one that depends on none.
struct Dependencies {
    std::vector<StatePtr> futures;
    bool any_suffices = false;  ///< one of them may be enough
};

/// Where a future is in its life.
enum class Phase : std::uint32_t {
    pending,             ///< not begun; can be cancelled
    running,             ///< claimed by whoever runs it
    completing,          ///< a promise's value is being stored
    cancelling,          ///< cancelled; the callable is being destroyed
    cancelled,           ///< done, by cancel()
    cancelled_notified,  ///< done, and the executor has seen it
    returned,            ///< done, with a value
    raised,              ///< done, with an exception
};

/// What all futures of one call share, whatever the value's type: the phase, the waiters, the
/// error.
///
/// One atomic word holds the phase and a lock bit for the list of waiters. Completing a future that
/// nobody waits for is one compare-and-swap; the lock bit is held for a few instructions and never
/// while foreign code runs.
///
/// Two counts govern its life. *Handles* are the Future objects: when none is left nobody can read
/// the value any more, and it is destroyed. *References* keep the memory: all handles together hold
/// one, and so do a queue that the task stands in, the thread that runs it, and a list that it is
/// in.
class COFUTURES_EXPORT StateBase {
public:
    StateBase(const StateBase&) = delete;
    StateBase& operator=(const StateBase&) = delete;

    // --- what a Future asks ---------------------------------------------------------------------

    [[nodiscard]] Phase phase() const noexcept {
        return phase_of(word_.load(std::memory_order_acquire));
    }
    [[nodiscard]] bool done() const noexcept { return is_final(phase()); }
    [[nodiscard]] bool running() const noexcept {
        const std::uint32_t word = word_.load(std::memory_order_acquire);
        const Phase now = phase_of(word);
        return now == Phase::running || now == Phase::completing ||
               (now == Phase::pending && (word & ahead_bit) != 0 && has_begun_ahead());
    }
    [[nodiscard]] bool cancelled() const noexcept {
        const Phase now = phase();
        return now == Phase::cancelled || now == Phase::cancelled_notified;
    }

    /// Cancels it if it has not begun; true if it is, or already was, cancelled, or is being
    /// cancelled by another thread that has yet to destroy the callable.
    bool cancel() noexcept;

    /// Blocks until done or the deadline passes; says whether it is done.
    bool wait(const Deadline& deadline) { return done() || wait_until_done(deadline); }
    /// The same for a thread that has run in place what it can.
    bool wait_for_others(const Deadline& deadline);

    /// The error of a done future, null if it returned. Throws CancelledError if it was cancelled.
    [[nodiscard]] std::exception_ptr error() const;

    /// Says that somebody has been told of the error, or that nobody needs to be.
    void look() const noexcept { looked_at_.store(true, std::memory_order_relaxed); }

    /// Throws what the future holds unless it holds a value.
    void throw_unless_returned() const {
        if (phase() != Phase::returned) {
            throw_error();
        }
    }

    /// Asks the running task to stop, through its std::stop_token; true if it has one and is not
    /// done.
    virtual bool request_stop() noexcept { return false; }

    /// Writes Python's repr, `<Future at 0x.. state=pending>`; `value_type` names what it returned.
    void describe(std::ostream& out, std::string_view value_type) const;

    // --- what a producer does -------------------------------------------------------------------

    /// Claims it for running: from pending to running. False if it was cancelled or claimed before.
    bool try_claim() noexcept { return change_phase(Phase::pending, Phase::running); }

    /// Gives back a claim on what was not begun, or is to be run again: it is pending once more.
    void unclaim() noexcept {
        come_back();
        change_phase(Phase::running, Phase::pending);
    }

    /// A pending task, which has a remote face, was offered to a worker process that is busy with
    /// another. It stays pending until it is claimed; only if the worker has not begun it can it be
    /// cancelled.
    ///
    /// @param number  What the worker and `tasks` know it by.
    /// @param task    What the pool knows it by.
    /// @returns  False, and nothing happens, if it was cancelled.
    [[nodiscard]] bool
    send_ahead(std::shared_ptr<AheadTasks> tasks, std::uint64_t number, std::uint64_t task);

    /// It is sent ahead no more: whoever asks for it any more asks for its phase only.
    void come_back() noexcept;

    /// Whether it was cancelled, or is being cancelled by another thread.
    [[nodiscard]] bool is_cancelled_soon() const noexcept {
        wait_for_readers();
        const Phase now = phase();
        return now == Phase::cancelling || cancelled();
    }

    /// Python's set_running_or_notify_cancel; throws InvalidStateError as it does.
    bool set_running_or_notify_cancel();

    /// Reserves the right to complete it, from pending or running; throws InvalidStateError.
    void begin_completion();
    [[nodiscard]] bool try_begin_completion() noexcept {
        return change_phase(Phase::pending, Phase::completing) ||
               change_phase(Phase::running, Phase::completing);
    }

    /// From now on the value stays without handles too, as the producer can still make one.
    void keep_value() noexcept { word_.fetch_or(kept_bit, std::memory_order_relaxed); }
    /// Takes it back: a value without handles is destroyed.
    void let_value_go() noexcept {
        word_.fetch_and(~kept_bit, std::memory_order_seq_cst);
        drop_unreadable_value();
    }

    /// Ends it with an exception. The caller claimed it or began its completion.
    void finish_with_error(std::exception_ptr error) noexcept;

    /// Ends it with the value that the derived class has just stored.
    void finish_with_value() noexcept { publish(Phase::returned, false); }

    /// Ends it with an exception if it is still pending, destroying its callable first; an executor
    /// says with it that the task will never run.
    bool abandon(std::exception_ptr error) noexcept;

    /// Runs the task, unless it was cancelled. A state without a callable does nothing.
    virtual void run() noexcept {}

    /// Says where the task is: the pool in whose queue it stands, then the worker that runs it; or
    /// the handlers of a pool, for what goes on there. Null for what no pool of this process runs.
    void set_place(const TaskPlace* place) noexcept {
        place_.store(place, std::memory_order_relaxed);
    }
    /// The calling thread runs it: if that is a worker, it is the place.
    void set_place_here() noexcept;
    [[nodiscard]] const TaskPlace* place() const noexcept {
        return place_.load(std::memory_order_relaxed);
    }

    /// What an executor asks for when it takes a task.
    struct Marks {
        bool watched = false;   ///< the account is told when the task begins and ends
        bool in_queue = false;  ///< it takes up room while it is pending: told when it begins
    };

    /// An executor takes the task, which nobody else knows yet, and counts from now on what becomes
    /// of it.
    ///
    /// @param account  Must live until the task was seen to be no longer pending by one of
    ///                 begin_run(), cancel() and abandon(), and by end_run() if it began.
    void enter(const TaskPlace* place, TaskAccount& account, Marks marks) noexcept;
    /// The same for a task that others may be cancelling; false if it is not pending any more.
    bool enter_if_pending(const TaskPlace* place, TaskAccount& account, Marks marks) noexcept;

    /// What this future waits for, while it is pending. May be asked at any time.
    ///
    /// @param most  Enough of those of which any suffices; there may be many more.
    [[nodiscard]] virtual Dependencies dependencies(std::size_t /*most*/ = SIZE_MAX) { return {}; }

    /// What to call the task in a message.
    [[nodiscard]] virtual std::string label() const { return "a future"; }

    /// How it was submitted; null if without options.
    [[nodiscard]] virtual const TaskOptions* options() const noexcept { return nullptr; }

    /// The face that a process pool sends through; null if the task cannot leave the process.
    virtual RemoteTask* remote() noexcept { return nullptr; }

    // --- waiters --------------------------------------------------------------------------------

    /// Registers a waiter; false, and nothing registered, if the future is done.
    [[nodiscard]] bool add(Waiter& waiter) noexcept;

    /// Takes a waiter out again; false if it has been told, or is being told, that the future is
    /// done. Safe with a waiter that is gone by then: it is not touched in that case.
    bool remove(Waiter& waiter) noexcept;

    // --- counts ---------------------------------------------------------------------------------

    // An atomic change costs as much as all else that is done with a small task, so there is none
    // where nobody else can change the count.

    void add_handle() noexcept {
        if (handles_.fetch_add(1, std::memory_order_relaxed) == 0) {
            add_reference();
        }
    }
    /// The same for a state that nobody but the caller knows yet.
    void add_first_handle() noexcept {
        handles_.store(1, std::memory_order_relaxed);
        add_first_reference();
    }
    void release_handle() noexcept {
        if (has_one_handle_for_good()) {
            // The finisher may see none left, too: who of the two consumes the value destroys it.
            handles_.store(0, std::memory_order_release);
        } else if (handles_.fetch_sub(1, std::memory_order_seq_cst) != 1) {
            return;
        }
        last_handle_is_gone();
    }
    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void add_first_reference() noexcept {
        references_.store(
            references_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed
        );
    }
    void release_reference() noexcept {
        if (references_.load(std::memory_order_acquire) == 1 ||
            references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            delete this;
        }
    }

    /// Link for the one queue that a task can stand in; used by whoever owns the queue's reference.
    StateBase* next_in_queue = nullptr;

protected:
    /// @param is_plain  The value, if there is one, needs no destructor.
    explicit StateBase(bool is_plain) noexcept : word_(is_plain ? plain_bit : 0) {}
    virtual ~StateBase();

    [[nodiscard]] static constexpr bool is_final(Phase phase) noexcept {
        return phase >= Phase::cancelled;
    }

    /// Ends it; `deferred` lets callbacks wait until those that run on this thread have returned.
    void publish(Phase final_phase, bool deferred) noexcept;

    /// Ends a continuation of another future on the same thread, without growing the stack.
    void finish_continuation_with_value() noexcept { publish(Phase::returned, true); }
    void finish_continuation_with_error(std::exception_ptr error) noexcept;
    void finish_continuation_cancelled() noexcept { publish(Phase::cancelled, true); }

    /// Claims the task for the calling thread, which runs it until end_run(). False as try_claim().
    bool begin_run(StateBase*& outer) noexcept;
    /// The call has ended, and its future is about to.
    void end_run(StateBase* outer, bool failed = false) noexcept;
    /// Instead of end_run(): the thread turns to something else, and the call goes on without one.
    ///
    /// @param place  Where it goes on.
    void leave_run(StateBase* outer, const TaskPlace* place) noexcept;
    /// Such a call has ended, on any thread, and its future is about to. Its executor must live.
    void end_elsewhere(bool failed) noexcept;

    /// Calls `read()` if the future is pending; it stays so, or its claimer waits, until it
    /// returns.
    template <class Read>
    void read_while_pending(Read read) {
        if (lock_unless_done()) {
            const Unlock unlock{*this};
            if (phase() == Phase::pending) {
                read();
            }
        }
    }
    /// By the claimer, before it changes what `read_while_pending` reads.
    void wait_for_readers() const noexcept;

    /// Whether one Future is all that can still read the value.
    [[nodiscard]] bool read_by_one_handle() const noexcept {
        return handles_.load(std::memory_order_acquire) == 1 &&
               (word_.load(std::memory_order_acquire) & busy_bit) == 0;
    }
    /// Whether a callback that is being told is all that can still read the value.
    [[nodiscard]] bool read_by_last_callback() const noexcept {
        return handles_.load(std::memory_order_acquire) == 0 &&
               (word_.load(std::memory_order_acquire) & kept_bit) == 0 &&
               !waiters_.starts_with(Waiter::Role::callback);
    }

    /// Says that the callable is destroyed already, although the task is still pending.
    void work_is_gone() noexcept { word_.fetch_or(workless_bit, std::memory_order_acq_rel); }
    [[nodiscard]] bool has_work() const noexcept {
        return (word_.load(std::memory_order_acquire) & workless_bit) == 0;
    }

    /// Claims the value for moving out or destroying; true once only.
    [[nodiscard]] bool consume() noexcept {
        return (word_.fetch_or(consumed_bit, std::memory_order_acq_rel) & consumed_bit) == 0;
    }
    [[nodiscard]] bool consumed() const noexcept {
        return (word_.load(std::memory_order_acquire) & consumed_bit) != 0;
    }
    /// Throws InvalidStateError for a value that was moved out.
    [[noreturn]] static void throw_consumed();

private:
    /// Destroys the stored value; called at most once, after a value was stored.
    virtual void destroy_value() noexcept {}
    /// Destroys the callable of a task that will not run.
    virtual void destroy_work() noexcept {}

    static constexpr std::uint32_t phase_mask = 0x07;
    static constexpr std::uint32_t lock_bit = 0x08;
    static constexpr std::uint32_t waiters_bit = 0x10;
    static constexpr std::uint32_t consumed_bit = 0x20;  // the value was moved out or destroyed
    static constexpr std::uint32_t busy_bit = 0x40;      // done, but callbacks have yet to run
    static constexpr std::uint32_t workless_bit = 0x80;  // the callable was destroyed while pending
    static constexpr std::uint32_t kept_bit = 0x100;     // a promise can still make a handle
    static constexpr std::uint32_t watched_bit = 0x200;  // the account is told of begin and end
    static constexpr std::uint32_t queued_bit = 0x400;   // takes up room while it is pending
    static constexpr std::uint32_t ahead_bit = 0x800;    // a busy worker process may begin it
    static constexpr std::uint32_t plain_bit = 0x1000;   // the value needs no destructor

    [[nodiscard]] static constexpr Phase phase_of(std::uint32_t word) noexcept {
        return static_cast<Phase>(word & phase_mask);
    }
    [[nodiscard]] static constexpr std::uint32_t
    with_phase(std::uint32_t word, Phase phase) noexcept {
        return (word & ~phase_mask) | static_cast<std::uint32_t>(phase);
    }

    struct Unlock {
        const StateBase& state;
        ~Unlock() { state.unlock(0); }
    };

    /// Whether the caller's handle is the only one, and nobody else can make another.
    [[nodiscard]] bool has_one_handle_for_good() const noexcept {
        // Looked at once more when it is settled: only from then on handles are made of handles
        // only. The first look spares most copies the others.
        return handles_.load(std::memory_order_relaxed) == 1 && is_settled() &&
               handles_.load(std::memory_order_acquire) == 1;
    }
    /// Whether it is done, all have been told, and there is no promise any more.
    [[nodiscard]] bool is_settled() const noexcept {
        constexpr auto final_bit = static_cast<std::uint32_t>(Phase::cancelled);
        static_assert(final_bit == 4, "all final phases have it, and no other");
        const std::uint32_t word = word_.load(std::memory_order_acquire);
        return (word & (final_bit | busy_bit | kept_bit)) == final_bit;
    }

    bool wait_until_done(const Deadline& deadline);
    void throw_error() const;

    bool change_phase(Phase from, Phase to, std::uint32_t* before = nullptr) noexcept;
    void mark(Marks marks) noexcept;
    [[nodiscard]] bool has_begun_ahead() const noexcept;
    bool lock_unless_done() const noexcept;
    void unlock(std::uint32_t changed_bits) const noexcept;
    bool finish_alone(Phase final_phase) noexcept;
    WaiterList finish(Phase final_phase) noexcept;
    void finish_callbacks() noexcept;
    void last_handle_is_gone() noexcept;
    void drop_unreadable_value() noexcept;
    void destroy_value_in_turn() noexcept;

    friend class CompletionScope;

    std::atomic<std::uint32_t> references_{0};
    std::atomic<std::uint32_t> handles_{0};
    mutable std::atomic<std::uint32_t> word_;     // who only looks may lock, too
    mutable std::atomic<bool> looked_at_{false};  // somebody has read error_
    std::atomic<const TaskPlace*> place_{nullptr};
    TaskAccount* account_ = nullptr;  // written before the task can be found, or under lock_bit
    WaiterList waiters_;        // guarded by lock_bit until the phase is final; then the finisher's
    std::exception_ptr error_;  // written before the phase becomes `raised`
};

inline void intrusive_ptr_add_ref(StateBase* state) noexcept {
    state->add_reference();
}
inline void intrusive_ptr_release(StateBase* state) noexcept {
    state->release_reference();
}

}  // namespace detail
}  // namespace cofutures
