#include "support/explorer.hpp"

#define BOOST_TEST_MODULE state_model
#include "support/model_check.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <utility>

using namespace cofutures::test::explorer;

// The protocol in miniature, and with faults put in, which the explorer has to find: a model in
// which nothing can go wrong proves nothing. Whoever changes the code changes its model.
// No co_await stands in a condition: g++ 12 makes a trap of some of them.

namespace {

Step<bool> exchange_phase(Atomic<unsigned>& word, unsigned phase, unsigned from, unsigned to) {
    for (;;) {
        const unsigned old = co_await word.load();
        if ((old & phase) != from) {
            co_return false;
        }
        const bool changed = co_await word.compare_exchange(old, (old & ~phase) | to);
        if (changed) {
            co_return true;
        }
    }
}

enum class WordFault {
    none,
    adds_without_the_lock,      // add() looks at the phase, then puts itself on the list
    claims_without_looking,     // the worker's claim does not see that cancel() came first
    finishes_past_the_lock,     // finish() does not wait for whoever changes the list
    leaves_it_to_the_finisher,  // the last handle on a future that is done destroys no value
};

/// include/cofutures/detail/state_base.hpp, lib/core/state_base.cpp: change_phase, try_claim,
/// cancel, add, remove, finish, release_handle and drop_unreadable_value.
///
/// Why no waiter is lost: the list changes only under the lock bit, which can be taken only while
/// the phase is not final. Finishing with a waiters bit takes the lock bit too, and gives it back
/// in the step that makes the phase final; without a waiters bit the list is empty, and the same
/// compare-and-swap that says so makes it final. So a waiter is on the list before, and is told, or
/// comes after, and sees a final phase.
struct Word {
    enum : unsigned { pending, running, cancelling, cancelled, returned, phase = 7 };
    enum : unsigned { lock_bit = 8, waiters_bit = 16, consumed_bit = 32 };

    Word(Run& in, WordFault fault_) : run(in), fault(fault_) {}

    static bool is_final(unsigned value) {
        return (value & phase) == cancelled || (value & phase) == returned;
    }

    Step<bool> change_phase(unsigned from, unsigned to) {
        return exchange_phase(word, phase, from, to);
    }
    Step<bool> lock_unless_done() {
        for (;;) {
            co_await run.until("the lock bit", [this] { return !(word.peek() & lock_bit); });
            const unsigned old = co_await word.load();
            if (is_final(old)) {
                co_return false;
            }
            const bool free = !(old & lock_bit) || fault == WordFault::adds_without_the_lock;
            const unsigned locked =
                fault == WordFault::adds_without_the_lock ? old : old | lock_bit;
            if (free) {
                const bool changed = co_await word.compare_exchange(old, locked);
                if (changed) {
                    co_return true;
                }
            }
        }
    }
    Step<> unlock(unsigned changed) {
        if (fault == WordFault::adds_without_the_lock) {
            co_await word.fetch_or(changed);
        } else {
            co_await word.fetch_xor(lock_bit | changed);
        }
    }
    Step<bool> add() {
        const bool locked = co_await lock_unless_done();
        if (!locked) {
            co_return false;
        }
        const bool was_empty = on_list++ == 0;
        co_await unlock(was_empty ? waiters_bit : 0U);
        co_return true;
    }
    Step<bool> remove() {
        const bool locked = co_await lock_unless_done();
        if (!locked) {
            co_return false;
        }
        --on_list;
        co_await unlock(on_list == 0 ? waiters_bit : 0U);
        co_return true;
    }

    Step<> finish(unsigned final_phase) {
        for (;;) {
            if (fault != WordFault::finishes_past_the_lock) {
                co_await run.until("the lock bit", [this] { return !(word.peek() & lock_bit); });
            }
            const unsigned old = co_await word.load();
            if (old & waiters_bit) {
                break;
            }
            if ((old & lock_bit) && fault != WordFault::finishes_past_the_lock) {
                continue;
            }
            const bool changed = co_await word.compare_exchange(old, (old & ~phase) | final_phase);
            if (changed) {
                ++finished;
                co_return;
            }
        }
        if (fault != WordFault::finishes_past_the_lock) {
            co_await lock_unless_done();
        }
        const int taken = std::exchange(on_list, 0);
        const unsigned old = co_await word.load();
        const unsigned last = (old & ~(lock_bit | waiters_bit | phase)) | final_phase;
        co_await word.fetch_xor(old ^ last);
        told += taken;
        ++finished;
    }

    Step<> drop_unreadable_value() {
        const int left = co_await handles.load();
        const unsigned now = co_await word.load();
        if (left == 0 && (now & phase) == returned) {
            const unsigned old = co_await word.fetch_or(consumed_bit);
            destroyed += (old & consumed_bit) == 0 ? 1 : 0;
        }
    }

    Step<> worker() {
        bool claimed = false;
        if (fault == WordFault::claims_without_looking) {
            claimed = co_await claim_without_looking();
        } else {
            claimed = co_await change_phase(pending, running);
        }
        if (claimed) {
            ++began;
            co_await finish(returned);
            co_await drop_unreadable_value();
        }
    }
    Step<bool> claim_without_looking() {
        const unsigned old = co_await word.load();
        co_await word.store((old & ~phase) | running);
        co_return (old & phase) == pending;
    }
    Step<> canceller() {
        const bool won = co_await change_phase(pending, cancelling);
        if (won) {
            ++began;
            co_await finish(cancelled);
        }
        co_await drop_handle();
    }
    Step<> waiter() {
        const bool added = co_await add();
        if (added) {
            co_await run.until("sleeps until told", [this] { return told > 0; });
        }
        Run::check(is_final(word.peek()), "it was told before the future was done");
        co_await drop_handle();
    }
    // One whose time is up at any moment.
    Step<> timed_waiter() {
        const bool added = co_await add();
        if (added) {
            const bool removed = co_await remove();
            if (!removed) {
                co_await run.until("is being told", [this] { return told > 0; });
            }
        }
        co_await drop_handle();
    }
    Step<> drop_handle() {
        const unsigned now = co_await word.load();
        const int left = co_await handles.load();
        if (is_final(now) && left == 1) {
            co_await handles.store(0);
            if (fault != WordFault::leaves_it_to_the_finisher) {
                co_await drop_unreadable_value();
            }
            co_return;
        }
        const int before = co_await handles.fetch_add(-1);
        if (before == 1) {
            co_await drop_unreadable_value();
        }
    }

    Run& run;
    Atomic<unsigned> word{run, "word", pending};
    Atomic<int> handles{run, "handles", 2};
    int on_list = 0;
    int told = 0;
    int began = 0;
    int finished = 0;
    int destroyed = 0;
    WordFault fault;
};

Result explore_word(WordFault fault, bool timed) {
    return explore({.preemptions = 3}, [=](Run& run) {
        auto word = std::make_shared<Word>(run, fault);
        run.spawn("worker", word->worker());
        run.spawn("canceller", word->canceller());
        run.spawn("waiter", timed ? word->timed_waiter() : word->waiter());
        run.at_end([word] { return word->began == 1; }, "it was both run and cancelled");
        run.at_end([word] { return word->finished == 1; }, "it did not end once");
        run.at_end([word] { return word->on_list == 0; }, "a waiter is left on the list");
        run.at_end(
            [word] {
                const bool has_value = (word->word.peek() & Word::phase) == Word::returned;
                return word->destroyed == (has_value ? 1 : 0);
            },
            "the value was not destroyed once"
        );
    });
}

enum class AheadFault {
    none,
    sends_past_the_lock,      // send_ahead() sets its bit while cancel() looks
    cancels_without_asking,   // cancel() does not see to it that the worker does not begin
    comes_back_before_claim,  // the bit is off before the task that was run is claimed
};

/// lib/core/state_base.cpp, lib/process/pool_actions.cpp, pool_manager.cpp, claim_table.hpp:
/// send_ahead, come_back, cancel of what is sent ahead, and who claims it.
///
/// Why nothing runs that was cancelled: cancel() decides under the lock bit, and the ahead bit is
/// set only while the lock is free. So either cancel() comes first, and the pool finds the task
/// cancelled and sends nothing; or cancel() sees the bit, and has to win the slot against the
/// worker. What the worker has begun the pool claims before it takes the bit off.
struct SentAhead {
    enum : unsigned { pending, running, cancelled, returned, phase = 7 };
    enum : unsigned { lock_bit = 8, ahead_bit = 16 };
    enum : unsigned { taken_back, offered, begun };

    SentAhead(Run& in, AheadFault fault_) : run(in), fault(fault_) {}

    Step<bool> change_phase(unsigned from, unsigned to) {
        return exchange_phase(word, phase, from, to);
    }
    Step<bool> send_ahead() {
        co_await slot.store(offered);
        for (;;) {
            if (fault != AheadFault::sends_past_the_lock) {
                co_await run.until("the lock bit", [this] { return !(word.peek() & lock_bit); });
            }
            const unsigned old = co_await word.load();
            if ((old & phase) != pending) {
                co_return false;
            }
            if ((old & lock_bit) && fault != AheadFault::sends_past_the_lock) {
                continue;
            }
            const bool set = co_await word.compare_exchange(old, old | ahead_bit);
            if (set) {
                co_return true;
            }
        }
    }
    Step<> come_back() {
        co_await word.fetch_and(~static_cast<unsigned>(ahead_bit));
        co_await run.until("the lock bit", [this] { return !(word.peek() & lock_bit); });
    }
    Step<bool> prevent() {
        const bool took = co_await slot.compare_exchange(offered, taken_back);
        const unsigned now = co_await slot.load();
        co_return took || now != begun;
    }

    // Sends it ahead, loses patience at any moment and takes it back, and then runs it elsewhere.
    Step<> pool() {
        const bool is_sent = co_await send_ahead();
        if (is_sent) {
            sent = true;
            const bool prevented = co_await prevent();
            if (!prevented) {
                co_await run.until("the answer", [this] { return answered; });
                co_await take_result();
                co_return;
            }
            passed_over = true;
            co_await come_back();
        }
        passed_over = true;
        const bool claimed = co_await change_phase(pending, running);
        if (claimed) {
            ++ran;
            co_await change_phase(running, returned);
        }
    }
    Step<> take_result() {
        if (fault == AheadFault::comes_back_before_claim) {
            co_await come_back();
        }
        const bool claimed = co_await change_phase(pending, running);
        if (fault != AheadFault::comes_back_before_claim) {
            co_await come_back();
        }
        if (claimed) {
            co_await change_phase(running, returned);
        }
    }
    Step<> worker() {
        co_await run.until("a frame, or none", [this] { return sent || passed_over; });
        if (sent) {
            const bool begins = co_await slot.compare_exchange(offered, begun);
            ran += begins ? 1 : 0;
            answered = begins;
        }
    }
    Step<> canceller() {
        for (;;) {
            co_await run.until("the lock bit", [this] { return !(word.peek() & lock_bit); });
            const unsigned old = co_await word.load();
            if ((old & phase) == returned) {
                co_return;
            }
            const bool free = !(old & lock_bit);
            if (free) {
                const bool locked = co_await word.compare_exchange(old, old | lock_bit);
                if (locked) {
                    break;
                }
            }
        }
        const unsigned now = co_await word.load();
        bool may = true;
        if ((now & phase) == pending && (now & ahead_bit) &&
            fault != AheadFault::cancels_without_asking) {
            may = co_await prevent();
        }
        if (may) {
            was_cancelled = co_await change_phase(pending, cancelled);
        }
        co_await word.fetch_xor(lock_bit);
    }

    Run& run;
    Atomic<unsigned> word{run, "word", pending};
    Atomic<unsigned> slot{run, "slot", taken_back};
    bool sent = false;
    bool passed_over = false;
    bool answered = false;
    bool was_cancelled = false;
    int ran = 0;
    AheadFault fault;
};

Result explore_ahead(AheadFault fault) {
    return explore({.preemptions = 3}, [=](Run& run) {
        auto task = std::make_shared<SentAhead>(run, fault);
        run.spawn("pool", task->pool());
        run.spawn("worker", task->worker());
        run.spawn("canceller", task->canceller());
        run.at_end(
            [task] { return task->ran + (task->was_cancelled ? 1 : 0) == 1; },
            "it was both run and cancelled, or neither"
        );
        run.at_end(
            [task] {
                const unsigned last = task->word.peek() & SentAhead::phase;
                return last == (task->was_cancelled ? SentAhead::cancelled : SentAhead::returned);
            },
            "it did not end as it was told"
        );
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(state_model)

BOOST_AUTO_TEST_CASE(future_tells_every_waiter_and_ends_once) {
    must_hold(explore_word(WordFault::none, false));
    must_hold(explore_word(WordFault::none, true));
}

BOOST_AUTO_TEST_CASE(finds_faults_put_into_the_future) {
    must_fail(explore_word(WordFault::adds_without_the_lock, false), "sleeps until told");
    must_fail(
        explore_word(WordFault::claims_without_looking, false), "it was both run and cancelled"
    );
    must_fail(
        explore_word(WordFault::finishes_past_the_lock, true), "a waiter is left on the list"
    );
    must_fail(
        explore_word(WordFault::leaves_it_to_the_finisher, false),
        "the value was not destroyed once"
    );
}

BOOST_AUTO_TEST_CASE(what_was_sent_ahead_is_run_or_cancelled) {
    must_hold(explore_ahead(AheadFault::none));
}

BOOST_AUTO_TEST_CASE(finds_faults_put_into_sending_ahead) {
    for (const AheadFault fault :
         {AheadFault::sends_past_the_lock,
          AheadFault::cancels_without_asking,
          AheadFault::comes_back_before_claim}) {
        must_fail(explore_ahead(fault), "it was both run and cancelled");
    }
}

BOOST_AUTO_TEST_SUITE_END()
