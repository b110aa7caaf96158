#include "process/pool_fsm.hpp"

#define BOOST_TEST_MODULE pool_fsm
#include <boost/test/unit_test.hpp>

#include "unit/process/pool_fsm_test.hpp"

#include <stdexcept>
#include <string>

using namespace cofutures::process;

BOOST_AUTO_TEST_SUITE(pool_fsm)

BOOST_AUTO_TEST_CASE(zero_workers_or_window_are_refused) {
    BOOST_CHECK_THROW(PoolFsm({.max_workers = 0}), std::invalid_argument);
    BOOST_CHECK_THROW(PoolFsm({.max_workers = 1, .window = 0}), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(no_worker_starts_before_the_first_task) {
    PoolFsm fsm({.max_workers = 4});
    PoolActions out;
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "finished");
    BOOST_TEST((fsm.submitted({.id = 1}, false, out) == Admission::refused));
    BOOST_TEST(take(out) == "");
}

BOOST_AUTO_TEST_CASE(one_task_lives_from_spawn_to_finish) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    BOOST_TEST((fsm.submitted({.id = 1}, false, out) == Admission::taken));
    BOOST_TEST(take(out) == "spawn 1");
    fsm.worker_started(1, 4711, out);
    BOOST_TEST(take(out) == "");
    fsm.worker_ready(1, out);
    BOOST_TEST(take(out) == "send 1:1");
    BOOST_TEST(fsm.handed_over() == 1U);
    BOOST_TEST(fsm.task_finished(1, 1, slow, false, out));
    BOOST_TEST(take(out) == "");
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "stop 1");
    fsm.worker_gone(1, exited_normally, 1, out);
    BOOST_TEST(take(out) == "finished");
    BOOST_TEST(!fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(workers_start_one_for_each_waiting_task_up_to_the_limit) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    for (TaskId task = 1; task <= 4; ++task) {
        fsm.submitted({.id = task}, false, out);
    }
    BOOST_TEST(take(out) == "spawn 1, spawn 2");
    BOOST_TEST(fsm.queued() == 4U);
}

BOOST_AUTO_TEST_CASE(a_worker_that_is_starting_is_not_started_again) {
    PoolFsm fsm({.max_workers = 4});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.cancelled(1, out);
    fsm.submitted({.id = 2}, false, out);
    BOOST_TEST(take(out) == "spawn 1");
}

BOOST_AUTO_TEST_CASE(sequential_tasks_reuse_one_worker) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 20; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
        BOOST_TEST(take(pool.out) == "send 1:" + std::to_string(task));
        pool.fsm.task_finished(1, task, slow, false, pool.out);
    }
}

BOOST_AUTO_TEST_CASE(the_most_recently_idle_worker_is_used_first) {
    IdlePool pool(3);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 3:10, send 2:11");
    pool.fsm.task_finished(3, 10, slow, false, pool.out);
    pool.fsm.task_finished(2, 11, slow, false, pool.out);
    pool.fsm.submitted({.id = 12}, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 2:12");
}

BOOST_AUTO_TEST_CASE(tasks_are_handed_out_in_the_order_submitted) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 14; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    BOOST_TEST(pool.fsm.cancelled(11, pool.out));
    for (const TaskId task : {10U, 12U, 13U}) {
        BOOST_TEST(take(pool.out) == "send 1:" + std::to_string(task));
        pool.fsm.task_finished(1, task, slow, false, pool.out);
    }
}

BOOST_AUTO_TEST_CASE(a_task_handed_over_can_no_longer_be_cancelled) {
    IdlePool pool(1);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    BOOST_TEST(!pool.fsm.cancelled(10, pool.out));
    BOOST_TEST(pool.fsm.task_finished(1, 10, slow, false, pool.out));
    BOOST_TEST(!pool.fsm.cancelled(10, pool.out));
}

BOOST_AUTO_TEST_CASE(death_of_a_busy_worker_breaks_the_pool_once) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 14; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    BOOST_TEST(take(pool.out) == "send 2:10, send 1:11");
    pool.fsm.worker_gone(2, killed_by_9, 1, pool.out);
    const auto cause = std::get<BreakPool>(pool.out.front()).blame;
    BOOST_TEST((cause.reason == BreakReason::worker_died));
    BOOST_TEST(cause.pid == 102);
    BOOST_TEST((cause.exit == killed_by_9));
    BOOST_TEST(take(pool.out) == "break 2:10, fail 10, fail 11, fail 12, fail 13, kill 1");
    BOOST_TEST(pool.fsm.is_broken());
    BOOST_TEST((pool.fsm.submitted({.id = 14}, false, pool.out) == Admission::refused));
    pool.fsm.worker_gone(1, killed_by_9, 1, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.shutdown(false, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
}

BOOST_AUTO_TEST_CASE(death_of_an_idle_worker_breaks_the_pool) {
    IdlePool pool(2);
    pool.fsm.worker_gone(1, exited_normally, 1, pool.out);
    BOOST_TEST(take(pool.out) == "break 1, kill 2");
}

BOOST_AUTO_TEST_CASE(death_of_a_starting_worker_breaks_the_pool) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.submitted({.id = 2}, false, out);
    fsm.worker_started(1, 101, out);
    out.clear();
    fsm.worker_gone(1, exited_normally, 1, out);
    BOOST_TEST(take(out) == "break 1, fail 1, fail 2");
    fsm.worker_started(2, 102, out);  // the pool broke while its process was being made
    BOOST_TEST(take(out) == "kill 2");
}

BOOST_AUTO_TEST_CASE(a_result_that_comes_after_the_break_changes_nothing) {
    IdlePool pool(2);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.fsm.worker_gone(2, killed_by_9, 1, pool.out);
    pool.out.clear();
    BOOST_TEST(!pool.fsm.task_finished(1, 11, slow, false, pool.out));
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(an_answer_for_another_task_is_misbehaviour) {
    IdlePool pool(2);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.out.clear();
    BOOST_TEST(!pool.fsm.task_finished(2, 99, slow, false, pool.out));
    BOOST_TEST(
        (std::get<BreakPool>(pool.out.front()).blame.reason == BreakReason::worker_misbehaved)
    );
    BOOST_TEST(take(pool.out) == "break 2:10, fail 10, kill 1, kill 2");
}

BOOST_AUTO_TEST_CASE(an_answer_of_an_idle_worker_is_misbehaviour) {
    IdlePool pool(1);
    BOOST_TEST(!pool.fsm.task_finished(1, 1, slow, false, pool.out));
    BOOST_TEST(take(pool.out) == "break 1, kill 1");
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_breaks_the_pool_and_says_why) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.worker_started(1, 101, out);
    out.clear();
    fsm.initializer_failed(1, "no licence", out);
    const auto cause = std::get<BreakPool>(out.front()).blame;
    BOOST_TEST((cause.reason == BreakReason::initializer_failed));
    BOOST_TEST(cause.text == "no licence");
    BOOST_TEST(take(out) == "break 1, fail 1, kill 1");
    fsm.worker_gone(1, exited_normally, 1, out);
    BOOST_TEST(take(out) == "");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_breaks_the_pool_if_there_is_no_worker) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    out.clear();
    fsm.spawn_failed(1, "no such file", out);
    BOOST_TEST(std::get<BreakPool>(out.front()).blame.text == "no such file");
    BOOST_TEST(take(out) == "break 1, fail 1");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_leaves_the_work_to_the_other_workers) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.submitted({.id = 2}, false, out);
    out.clear();
    fsm.spawn_failed(2, "out of processes", out);
    BOOST_TEST(take(out) == "");
    fsm.submitted({.id = 3}, false, out);
    BOOST_TEST(take(out) == "");  // no attempt for each submission
    fsm.worker_started(1, 101, out);
    fsm.worker_ready(1, out);
    BOOST_TEST(take(out) == "send 1:1");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_that_nobody_waits_for_is_forgotten) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.cancelled(1, out);
    fsm.spawn_failed(1, "out of processes", out);
    fsm.submitted({.id = 2}, false, out);
    fsm.submitted({.id = 3}, false, out);
    BOOST_TEST(take(out) == "spawn 1, spawn 2, spawn 3");
}

BOOST_AUTO_TEST_CASE(shutdown_drains_the_queue_before_it_stops_the_workers) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    pool.out.clear();
    pool.fsm.shutdown(false, pool.out);
    BOOST_TEST(take(pool.out) == "");
    BOOST_TEST((pool.fsm.submitted({.id = 13}, false, pool.out) == Admission::refused));
    pool.fsm.task_finished(2, 10, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 2:12");
    pool.fsm.task_finished(1, 11, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1");
    pool.fsm.worker_gone(1, exited_normally, 1, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.task_finished(2, 12, slow, false, pool.out);
    pool.fsm.worker_gone(2, exited_normally, 1, pool.out);
    BOOST_TEST(take(pool.out) == "stop 2, finished");
    pool.fsm.shutdown(true, pool.out);
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_spares_only_what_a_worker_has) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    pool.out.clear();
    pool.fsm.shutdown(true, pool.out);
    BOOST_TEST(take(pool.out) == "cancel 11, cancel 12");
    BOOST_TEST(pool.fsm.task_finished(1, 10, slow, false, pool.out));
    BOOST_TEST(take(pool.out) == "stop 1");
}

BOOST_AUTO_TEST_CASE(shutdown_stops_a_worker_that_is_still_starting) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted({.id = 1}, false, out);
    fsm.cancelled(1, out);
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "spawn 1");
    fsm.worker_started(1, 101, out);
    BOOST_TEST(take(out) == "stop 1");
    fsm.worker_ready(1, out);
    fsm.worker_gone(1, exited_normally, 1, out);
    BOOST_TEST(take(out) == "finished");
}

BOOST_AUTO_TEST_CASE(the_end_of_a_stopped_worker_is_no_news_whatever_its_status) {
    IdlePool pool(2);
    pool.fsm.shutdown(false, pool.out);
    pool.fsm.worker_gone(1, killed_by_9, 1, pool.out);
    pool.fsm.worker_gone(2, ExitStatus{}, 1, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, stop 2, finished");
    BOOST_TEST(!pool.fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(terminate_cancels_the_queue_fails_what_runs_and_ends_the_workers) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted({.id = task}, false, pool.out);
    }
    pool.out.clear();
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "cancel 12, break 0, fail 10, fail 11, kill 1, kill 2");
    pool.fsm.worker_gone(1, killed_by_9, 1, pool.out);
    pool.fsm.worker_gone(2, killed_by_9, 1, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
}

BOOST_AUTO_TEST_CASE(terminate_can_be_gentle_first_and_forceful_later) {
    IdlePool pool(2);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.out.clear();
    pool.fsm.terminate(false, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, break 0, fail 10, stop 2, term 1, term 2");
    pool.fsm.terminate(false, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.worker_gone(1, {.exit_code = {}, .signal = 15}, 1, pool.out);
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "kill 2");
}

BOOST_AUTO_TEST_CASE(terminate_of_an_idle_pool_breaks_nothing) {
    IdlePool pool(1);
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, kill 1");
    pool.fsm.worker_gone(1, killed_by_9, 1, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
    BOOST_TEST(!pool.fsm.is_broken());
}

// --- room ----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_queue_holds_what_the_workers_do_not_take) {
    PoolFsm fsm({.max_workers = 2, .max_queue = 1});
    PoolActions out;
    for (TaskId task = 1; task <= 3; ++task) {
        BOOST_TEST((fsm.submitted({.id = task}, false, out) == Admission::taken));
    }
    BOOST_TEST(take(out) == "spawn 1, spawn 2");
    BOOST_TEST((fsm.submitted({.id = 4}, false, out) == Admission::full));
    BOOST_TEST(take(out) == "");
    BOOST_TEST((fsm.submitted({.id = 5}, true, out) == Admission::taken));
    BOOST_TEST(fsm.queued() == 4U);
}

BOOST_AUTO_TEST_CASE(tasks_that_wait_for_room_are_taken_in_their_order) {
    IdlePool pool({.max_workers = 1, .max_queue = 1});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    BOOST_TEST(pool.fsm.wait_for_room({.id = 12}, pool.out));
    BOOST_TEST(pool.fsm.wait_for_room({.id = 13, .priority = 1}, pool.out));
    BOOST_TEST(take(pool.out) == "send 1:10");
    BOOST_TEST((pool.fsm.submitted({.id = 14}, false, pool.out) == Admission::full));
    pool.fsm.task_finished(1, 10, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 1:11, admit 12");
    pool.fsm.task_finished(1, 11, slow, false, pool.out);
    BOOST_TEST(take(pool.out) == "send 1:12, admit 13");
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_makes_room_and_one_that_waits_for_room_leaves) {
    IdlePool pool({.max_workers = 1, .max_queue = 1});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.fsm.wait_for_room({.id = 12}, pool.out);
    pool.fsm.wait_for_room({.id = 13}, pool.out);
    pool.out.clear();
    BOOST_TEST(pool.fsm.cancelled(12, pool.out));
    BOOST_TEST(take(pool.out) == "");
    BOOST_TEST(pool.fsm.cancelled(11, pool.out));
    BOOST_TEST(take(pool.out) == "admit 13");
}

BOOST_AUTO_TEST_CASE(whoever_waits_for_room_is_told_of_the_end) {
    IdlePool pool({.max_workers = 1, .max_queue = 1});
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.fsm.wait_for_room({.id = 12}, pool.out);
    pool.out.clear();
    pool.fsm.shutdown(false, pool.out);
    BOOST_TEST(take(pool.out) == "refuse 12");
    BOOST_TEST(!pool.fsm.wait_for_room({.id = 13}, pool.out));

    IdlePool broken({.max_workers = 1, .max_queue = 1});
    broken.fsm.submitted({.id = 10}, false, broken.out);
    broken.fsm.submitted({.id = 11}, false, broken.out);
    broken.fsm.wait_for_room({.id = 12}, broken.out);
    broken.out.clear();
    broken.fsm.worker_gone(1, killed_by_9, 1, broken.out);
    BOOST_TEST(take(broken.out) == "break 1:10, refuse 12, fail 10, fail 11");
}

BOOST_AUTO_TEST_CASE(higher_priority_goes_first_and_equal_ones_in_order) {
    IdlePool pool(1);
    pool.fsm.submitted({.id = 10}, false, pool.out);
    pool.fsm.submitted({.id = 11}, false, pool.out);
    pool.fsm.submitted({.id = 12, .priority = -1}, false, pool.out);
    pool.fsm.submitted({.id = 13, .priority = 7}, false, pool.out);
    pool.fsm.submitted({.id = 14, .priority = 7}, false, pool.out);
    for (const TaskId task : {10U, 13U, 14U, 11U, 12U}) {
        BOOST_TEST(take(pool.out) == "send 1:" + std::to_string(task));
        pool.fsm.task_finished(1, task, slow, false, pool.out);
    }
}

BOOST_AUTO_TEST_SUITE_END()
