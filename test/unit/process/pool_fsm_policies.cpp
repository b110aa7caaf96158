#include "process/claim_table.hpp"
#include "process/pool_fsm.hpp"

#define BOOST_TEST_MODULE pool_fsm_policies
#include <boost/test/unit_test.hpp>

#include "unit/process/pool_fsm_test.hpp"

#include <chrono>
#include <stdexcept>
#include <string>

using namespace cofutures::process;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(pool_fsm_policies)

// --- workers that are replaced -------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_replaced_worker_costs_the_task_that_it_ran_and_no_other) {
    IdlePool pool({.max_workers = 2, .replace_workers = true});
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    pool.out.clear();
    pool.fsm.worker_gone(2, killed_by_9, 1, pool.out);
    const auto lost = std::get<LoseTask>(pool.out.front()).blame;
    BOOST_TEST(lost.pid == 102);
    BOOST_TEST((lost.exit == killed_by_9));
    BOOST_TEST(take(pool.out) == "lose 2:10#1, spawn 3");
    BOOST_TEST(pool.fsm.worker_deaths() == 1U);
    pool.fsm.worker_started(3, 103, pool.out);
    pool.fsm.worker_ready(3, pool.out);
    BOOST_TEST(take(pool.out) == "send 3:12");
    BOOST_TEST(!pool.fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(a_task_is_run_again_as_often_as_it_may_be) {
    IdlePool pool({.max_workers = 1, .replace_workers = true});
    pool.fsm.submitted({.id = 10, .retries = 2}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.out.clear();
    for (WorkerId worker = 1; worker <= 2; ++worker) {
        const std::string next = std::to_string(worker + 1);
        pool.fsm.worker_gone(worker, killed_by_9, 1, pool.out);
        BOOST_TEST(take(pool.out) == "back 10, spawn " + next);
        pool.fsm.worker_started(worker + 1, 100, pool.out);
        pool.fsm.worker_ready(worker + 1, pool.out);
        BOOST_TEST(take(pool.out) == "send " + next + ":10");
    }
    pool.fsm.worker_gone(3, killed_by_9, 1, pool.out);
    BOOST_TEST(take(pool.out) == "lose 3:10#3, spawn 4");
}

BOOST_AUTO_TEST_CASE(an_idle_worker_that_dies_is_replaced_when_there_is_work) {
    IdlePool pool({.max_workers = 1, .replace_workers = true});
    pool.fsm.worker_gone(1, killed_by_9, 0, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.submitted({.id = 10}, false, pool.out);
    BOOST_TEST(take(pool.out) == "spawn 2");
}

BOOST_AUTO_TEST_CASE(a_task_that_was_not_begun_is_forgiven_three_times) {
    IdlePool pool({.max_workers = 1, .replace_workers = true});
    pool.submit_light(10);
    pool.out.clear();
    for (WorkerId worker = 1; worker <= 3; ++worker) {
        pool.fsm.worker_gone(worker, killed_by_9, 0, pool.out);
        BOOST_TEST(take(pool.out) == "back 10, spawn " + std::to_string(worker + 1));
        pool.fsm.worker_started(worker + 1, 100, pool.out);
        pool.fsm.worker_ready(worker + 1, pool.out);
        pool.out.clear();
    }
    pool.fsm.worker_gone(4, killed_by_9, 0, pool.out);
    BOOST_TEST(take(pool.out) == "lose 4:10#1");
}

BOOST_AUTO_TEST_CASE(garbage_costs_a_replaced_worker_its_task_only) {
    IdlePool pool({.max_workers = 2, .replace_workers = true});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.out.clear();
    pool.fsm.worker_misbehaved(2, "garbage", 1, pool.out);
    BOOST_TEST(std::get<LoseTask>(pool.out.front()).blame.text == "garbage");
    BOOST_TEST(take(pool.out) == "lose 2:10#1, kill 2");
    pool.fsm.worker_gone(2, killed_by_9, 0, pool.out);
    BOOST_TEST(take(pool.out) == "");
    BOOST_TEST(pool.fsm.worker_deaths() == 1U);
    BOOST_TEST(pool.fsm.task_finished(1, 11, slow, false, pool.out));
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_breaks_also_a_pool_that_replaces_workers) {
    PoolFsm fsm({.max_workers = 1, .replace_workers = true});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.worker_started(1, 101, out);
    out.clear();
    fsm.initializer_failed(1, "no licence", out);
    BOOST_TEST(take(out) == "break 1, fail 1, kill 1");
}

BOOST_AUTO_TEST_CASE(workers_that_die_at_start_are_started_ever_more_slowly_and_break_the_pool) {
    PoolFsm fsm({.max_workers = 1, .replace_workers = true});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    BOOST_TEST(take(out) == "spawn 1");
    const char* delays[] = {"10", "20", "40", "80"};
    for (WorkerId worker = 1; worker <= 4; ++worker) {
        fsm.worker_started(worker, 100, out);
        fsm.worker_gone(worker, killed_by_9, 0, out);
        BOOST_TEST(
            take(out) == "timer " + std::to_string(worker) + "=" + delays[worker - 1] + "ms"
        );
        fsm.timer_expired(worker, out);
        BOOST_TEST(take(out) == "spawn " + std::to_string(worker + 1));
    }
    fsm.worker_started(5, 100, out);
    fsm.worker_gone(5, killed_by_9, 0, out);
    BOOST_TEST((std::get<BreakPool>(out.front()).blame.reason == BreakReason::workers_die_at_start)
    );
    BOOST_TEST(take(out) == "break 5, fail 1");
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "finished");
}

BOOST_AUTO_TEST_CASE(a_worker_that_does_not_come_is_killed_and_breaks_the_pool) {
    PoolFsm fsm({.max_workers = 1, .start_timeout = 60s});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.worker_started(1, 4711, out);
    BOOST_TEST(take(out) == "spawn 1, timer 1=60000ms");
    fsm.timer_expired(1, out);
    BOOST_REQUIRE(std::holds_alternative<BreakPool>(out.front()));
    const Blame& blame = std::get<BreakPool>(out.front()).blame;
    BOOST_TEST((blame.reason == BreakReason::worker_did_not_come));
    BOOST_TEST(blame.pid == 4711);
    BOOST_TEST(take(out) == "break 1, fail 1, kill 1");
}

BOOST_AUTO_TEST_CASE(a_worker_that_came_has_time_for_its_initializer) {
    PoolFsm fsm({.max_workers = 1, .start_timeout = 60s});
    PoolActions out;
    fsm.submitted({.id = 1, .timeout = 5s}, false, out);
    fsm.worker_started(1, 4711, out);
    take(out);
    fsm.worker_arrived(1, out);
    BOOST_TEST(take(out) == "clear 1");
    fsm.timer_expired(1, out);
    BOOST_TEST(take(out) == "");
    fsm.worker_ready(1, out);
    BOOST_TEST(take(out) == "send 1:1, timer 2=5000ms");
    fsm.worker_arrived(1, out);  // as no worker of ours does
    BOOST_TEST(take(out) == "");
}

BOOST_AUTO_TEST_CASE(a_worker_that_is_to_leave_and_does_not_come_is_killed) {
    PoolFsm fsm({.max_workers = 1, .start_timeout = 60s});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    take(out);
    fsm.cancelled(1, out);
    fsm.shutdown(false, out);
    fsm.worker_started(1, 4711, out);
    BOOST_TEST(take(out) == "stop 1, timer 1=60000ms");
    fsm.timer_expired(1, out);
    BOOST_TEST(take(out) == "kill 1");
    fsm.worker_gone(1, killed_by_9, 0, out);
    BOOST_TEST(take(out) == "finished");
}

BOOST_AUTO_TEST_CASE(workers_that_do_not_come_are_replaced_a_few_times) {
    PoolFsm fsm({.max_workers = 1, .replace_workers = true, .start_timeout = 60s});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    for (WorkerId id = 1;; ++id) {
        BOOST_REQUIRE(id <= 5);
        fsm.worker_started(id, 100, out);
        fsm.timer_expired(std::get<SetTimer>(out.back()).timer, out);
        const bool is_broken = fsm.is_broken();
        BOOST_TEST(is_broken == (id == 5));
        const auto to_start_another = std::ranges::find_if(out, [](const PoolAction& action) {
            const auto* timer = std::get_if<SetTimer>(&action);
            return timer != nullptr && timer->delay <= 1s;
        });
        fsm.worker_gone(id, killed_by_9, 0, out);
        if (is_broken) {
            break;
        }
        BOOST_REQUIRE(to_start_another != out.end());
        const TimerId timer = std::get<SetTimer>(*to_start_another).timer;
        out.clear();
        fsm.timer_expired(timer, out);
        BOOST_TEST(take(out) == "spawn " + std::to_string(id + 1));
    }
    const auto broke = std::ranges::find_if(out, [](const PoolAction& action) {
        return std::holds_alternative<BreakPool>(action);
    });
    BOOST_REQUIRE(broke != out.end());
    BOOST_TEST((std::get<BreakPool>(*broke).blame.reason == BreakReason::worker_did_not_come));
}

BOOST_AUTO_TEST_CASE(deaths_at_start_do_not_break_a_pool_with_a_worker_that_works) {
    PoolFsm fsm({.max_workers = 2, .replace_workers = true});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.worker_started(1, 100, out);
    fsm.worker_ready(1, out);
    fsm.submitted({.id = 2}, false, out);
    TimerId timer = 0;
    for (WorkerId worker = 2; worker < 12; ++worker) {
        fsm.worker_started(worker, 100, out);
        fsm.worker_gone(worker, killed_by_9, 0, out);
        fsm.timer_expired(++timer, out);
    }
    BOOST_TEST(!fsm.is_broken());
    out.clear();
    fsm.task_finished(1, 1, slow, false, out);
    BOOST_TEST(take(out) == "send 1:2");
}

BOOST_AUTO_TEST_CASE(a_pool_that_waits_to_start_a_worker_can_be_shut_down) {
    PoolFsm fsm({.max_workers = 1, .replace_workers = true});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.worker_started(1, 100, out);
    fsm.worker_gone(1, killed_by_9, 0, out);
    out.clear();
    fsm.shutdown(true, out);
    BOOST_TEST(take(out) == "cancel 1, clear 1, finished");
}

BOOST_AUTO_TEST_CASE(a_pool_that_replaces_workers_survives_a_lack_of_descriptors) {
    PoolFsm fsm({.max_workers = 2, .replace_workers = true});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    out.clear();
    fsm.spawn_failed(1, "too many open files", out);
    BOOST_TEST(take(out) == "timer 1=10ms");
    fsm.timer_expired(1, out);
    BOOST_TEST(take(out) == "spawn 2");
}

// --- a task's time -------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_task_that_takes_too_long_ends_with_its_worker_and_breaks_nothing) {
    IdlePool pool({.max_workers = 1, .termination_grace = 100ms});
    pool.fsm.submitted({.id = 10, .retries = 3, .timeout = 2s}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 1:10, timer 1=2000ms");
    pool.fsm.timer_expired(1, pool.out);
    BOOST_TEST(take(pool.out) == "overran 10, term 1, timer 2=100ms");
    BOOST_TEST(!pool.fsm.task_finished(1, 10, slow, false, pool.out));
    pool.out.clear();
    pool.fsm.timer_expired(2, pool.out);
    BOOST_TEST(take(pool.out) == "kill 1");
    pool.fsm.worker_gone(1, killed_by_9, 0, pool.out);
    BOOST_TEST(take(pool.out) == "spawn 2");
    BOOST_TEST(!pool.fsm.is_broken());
    BOOST_TEST(pool.fsm.worker_deaths() == 0U);
}

BOOST_AUTO_TEST_CASE(a_task_that_ends_in_time_clears_its_timer) {
    IdlePool pool({.max_workers = 1});
    pool.fsm.submitted({.id = 10, .timeout = 2s}, false, pool.out);
    pool.out.clear();
    BOOST_TEST(pool.fsm.task_finished(1, 10, slow, false, pool.out));
    BOOST_TEST(take(pool.out) == "clear 1");
    pool.fsm.timer_expired(1, pool.out);
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(a_worker_that_ends_at_the_first_signal_is_not_killed) {
    IdlePool pool({.max_workers = 1, .termination_grace = 100ms});
    pool.fsm.submitted({.id = 10, .timeout = 2s}, false, pool.out);
    pool.fsm.timer_expired(1, pool.out);
    pool.out.clear();
    pool.fsm.worker_gone(1, killed_by_9, 0, pool.out);
    BOOST_TEST(take(pool.out) == "clear 2");
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_that_was_to_be_sent_makes_way_for_the_next) {
    IdlePool pool({.max_workers = 1});
    pool.fsm.submitted({.id = 10, .timeout = 2s}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 1:10, timer 1=2000ms");
    pool.fsm.not_sent(1, 10, pool.out);
    BOOST_TEST(take(pool.out) == "clear 1, send 1:11");
}

// --- sending ahead -------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(nothing_is_sent_ahead_before_tasks_prove_to_be_short) {
    IdlePool pool({.max_workers = 1, .window = 3});
    for (TaskId task = 10; task < 14; ++task) {
        pool.submit_light(task);
    }
    BOOST_TEST(take(pool.out) == "send 1:10");
}

BOOST_AUTO_TEST_CASE(short_tasks_are_sent_ahead_and_only_those) {
    IdlePool pool({.max_workers = 2, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 204; ++task) {
        pool.submit_light(task);
    }
    BOOST_TEST(
        take(pool.out) == "send 2:200, send 1:201, timer 1=1ms, send 1:202, timer 2=1ms, send 2:203"
    );
    pool.submit_light(210, 2);                                    // of another kind
    pool.fsm.submitted({.id = 211, .kind = 1}, false, pool.out);  // not light
    BOOST_TEST(take(pool.out) == "");
    BOOST_TEST(pool.fsm.running() == 2U);
    BOOST_TEST(pool.fsm.queued() == 2U);
}

BOOST_AUTO_TEST_CASE(nothing_is_sent_behind_a_task_with_a_limit_nor_ahead_with_one) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    pool.fsm.submitted({.id = 200, .timeout = 1s, .kind = 1, .light = true}, false, pool.out);
    pool.submit_light(201);
    BOOST_TEST(take(pool.out) == "send 1:200, timer 1=1000ms");
    pool.fsm.task_finished(1, 200, quick, false, pool.out);
    BOOST_TEST(take(pool.out) == "clear 1, send 1:201");
    pool.fsm.submitted({.id = 202, .timeout = 1s, .kind = 1, .light = true}, false, pool.out);
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(tasks_behind_one_that_stalls_are_taken_back_for_others) {
    IdlePool pool({.max_workers = 2, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 206; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();  // worker 1 has 201, 202, 204; worker 2 has 200, 203, 205
    for (const TaskId task : {201U, 202U, 204U}) {
        pool.fsm.task_finished(1, task, quick, false, pool.out);
    }
    pool.out.clear();
    pool.fsm.timer_expired(2, pool.out);
    BOOST_TEST(take(pool.out) == "recall 2");
    pool.fsm.recalled(2, 2, pool.out);
    BOOST_TEST(take(pool.out).starts_with("back 205, back 203, send 1:203"));
    pool.submit_light(206);
    for (const PoolAction& action : pool.out) {
        if (const auto* sent = std::get_if<SendTask>(&action)) {
            BOOST_TEST(sent->worker == 1U);  // nothing more to the one that stalls
        }
    }
}

BOOST_AUTO_TEST_CASE(tasks_are_left_where_they_are_for_longer_if_nobody_is_idle) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 203; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();
    for (TimerId timer = 1; timer < 20; ++timer) {
        pool.fsm.timer_expired(timer, pool.out);
        BOOST_TEST(take(pool.out) == "timer " + std::to_string(timer + 1) + "=1ms");
    }
    pool.fsm.timer_expired(20, pool.out);
    BOOST_TEST(take(pool.out) == "recall 1");
}

BOOST_AUTO_TEST_CASE(tasks_that_move_on_are_left_where_they_are) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 203; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();
    pool.fsm.task_finished(1, 200, quick, false, pool.out);
    pool.fsm.timer_expired(1, pool.out);
    BOOST_TEST(take(pool.out) == "timer 2=1ms");
}

BOOST_AUTO_TEST_CASE(those_sent_ahead_to_a_worker_that_died_are_not_blamed) {
    IdlePool pool({.max_workers = 1, .window = 3, .replace_workers = true}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 203; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();
    pool.fsm.worker_gone(1, killed_by_9, 1, pool.out);
    BOOST_TEST(take(pool.out) == "clear 1, lose 1:200#1, back 201, back 202, spawn 2");
    BOOST_TEST(pool.fsm.queued() == 2U);
}

// The one before it was cancelled a moment ago, and nobody has said so yet.
BOOST_AUTO_TEST_CASE(the_last_that_a_dead_worker_had_begun_is_blamed) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 203; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();
    pool.fsm.worker_gone(1, killed_by_9, 2, pool.out);
    BOOST_TEST(take(pool.out) == "clear 1, break 1:201, fail 200, fail 201, fail 202");
}

BOOST_AUTO_TEST_CASE(one_that_is_cancelled_ahead_makes_room_for_another) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 204; ++task) {
        pool.submit_light(task);
    }
    BOOST_TEST(take(pool.out) == "send 1:200, timer 1=1ms, send 1:201, send 1:202");
    BOOST_TEST(pool.fsm.cancelled_ahead(1, 201, pool.out));
    BOOST_TEST(take(pool.out) == "send 1:203");
    BOOST_TEST(!pool.fsm.cancelled_ahead(1, 201, pool.out));
    BOOST_TEST(!pool.fsm.cancelled_ahead(2, 202, pool.out));
    BOOST_TEST(pool.fsm.task_finished(1, 200, quick, false, pool.out));
    BOOST_TEST(pool.fsm.task_finished(1, 202, quick, false, pool.out));
    BOOST_TEST(pool.fsm.running() == 1U);
    BOOST_TEST(take(pool.out) == "");
    // The worker passes over the last one that it has, and is idle.
    BOOST_TEST(pool.fsm.cancelled_ahead(1, 203, pool.out));
    BOOST_TEST(take(pool.out) == "clear 1");
    BOOST_TEST(pool.fsm.idle() == 1U);
    BOOST_TEST(pool.fsm.handed_over() == 0U);
}

BOOST_AUTO_TEST_CASE(a_shutdown_that_cancels_takes_back_what_was_sent_ahead) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    for (TaskId task = 200; task < 204; ++task) {
        pool.submit_light(task);
    }
    pool.out.clear();
    pool.fsm.shutdown(true, pool.out);
    BOOST_TEST(take(pool.out) == "recall 1, cancel 203");
    pool.fsm.recalled(1, 1, pool.out);  // it has begun the second one meanwhile
    BOOST_TEST(take(pool.out) == "cancel 202");
    BOOST_TEST(pool.fsm.task_finished(1, 200, quick, false, pool.out));
    BOOST_TEST(pool.fsm.task_finished(1, 201, quick, false, pool.out));
    BOOST_TEST(take(pool.out) == "clear 1, stop 1");
}

BOOST_AUTO_TEST_CASE(the_numbers_of_a_workers_tasks_stay_close) {
    IdlePool pool({.max_workers = 1, .window = 3}, quick);
    pool.prove_short();
    pool.submit_light(200);
    TaskId task = 201;
    std::size_t sent = 1;
    for (; task < 1200; ++task) {
        pool.out.clear();
        pool.submit_light(task);
        if (take(pool.out).find("send") == std::string::npos) {
            break;
        }
        ++sent;
        pool.fsm.cancelled_ahead(1, task, pool.out);
    }
    BOOST_TEST(sent < ClaimTable::size);
    BOOST_TEST(pool.fsm.queued() == 1U);
    pool.out.clear();
    BOOST_TEST(pool.fsm.task_finished(1, 200, quick, false, pool.out));
    BOOST_TEST(take(pool.out).find("send 1:" + std::to_string(task)) != std::string::npos);
}

// --- workers that leave --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_worker_leaves_after_its_number_of_tasks_and_is_replaced_when_gone) {
    IdlePool pool({.max_workers = 1, .max_tasks_per_worker = 2});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 1:10");
    pool.fsm.task_finished(1, 10, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1");
    pool.fsm.worker_gone(1, exited_normally, 0, pool.out);
    BOOST_TEST(take(pool.out) == "spawn 2");
    pool.fsm.shutdown(false, pool.out);
    pool.fsm.worker_started(2, 102, pool.out);
    pool.fsm.worker_ready(2, pool.out);
    BOOST_TEST(take(pool.out) == "send 2:11");
    BOOST_TEST(pool.fsm.worker_deaths() == 0U);
}

BOOST_AUTO_TEST_CASE(a_worker_that_has_grown_leaves) {
    IdlePool pool({.max_workers = 1});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.out.clear();
    pool.fsm.task_finished(1, 10, slow, true, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1");
}

BOOST_AUTO_TEST_CASE(an_idle_worker_leaves_after_a_while) {
    IdlePool pool({.max_workers = 1, .idle_timeout = 5s});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    BOOST_TEST(take(pool.out) == "clear 2, send 1:10");
    pool.fsm.task_finished(1, 10, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "timer 3=5000ms");
    pool.fsm.timer_expired(3, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1");
    pool.fsm.worker_gone(1, exited_normally, 0, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(take(pool.out) == "spawn 2");
}

BOOST_AUTO_TEST_SUITE_END()
