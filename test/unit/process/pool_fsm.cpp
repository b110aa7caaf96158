#include "process/pool_fsm.hpp"
#include "process/claim_table.hpp"

#define BOOST_TEST_MODULE pool_fsm
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace cofutures::process;
using namespace std::chrono_literals;

namespace {

struct ActionText {
    std::string operator()(const SpawnWorker& a) const {
        return "spawn " + std::to_string(a.worker);
    }
    std::string operator()(const SendTask& a) const {
        return "send " + std::to_string(a.worker) + ":" + std::to_string(a.task);
    }
    std::string operator()(const RecallTasks& a) const {
        return "recall " + std::to_string(a.worker);
    }
    std::string operator()(const StopWorker& a) const { return "stop " + std::to_string(a.worker); }
    std::string operator()(const KillWorker& a) const {
        return (a.force ? "kill " : "term ") + std::to_string(a.worker);
    }
    std::string operator()(const BreakPool& a) const {
        return "break " + std::to_string(a.blame.worker) +
               (a.blame.task ? ":" + std::to_string(*a.blame.task) : std::string());
    }
    std::string operator()(const FailTask& a) const { return "fail " + std::to_string(a.task); }
    std::string operator()(const LoseTask& a) const {
        return "lose " + std::to_string(a.blame.worker) + ":" + std::to_string(a.task) + "#" +
               std::to_string(a.blame.attempt);
    }
    std::string operator()(const RequeueTask& a) const { return "back " + std::to_string(a.task); }
    std::string operator()(const TimeOutTask& a) const {
        return "overran " + std::to_string(a.task);
    }
    std::string operator()(const AdmitTask& a) const { return "admit " + std::to_string(a.task); }
    std::string operator()(const RefuseTask& a) const { return "refuse " + std::to_string(a.task); }
    std::string operator()(const SetTimer& a) const {
        return "timer " + std::to_string(a.timer) + "=" +
               std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(a.delay).count()
               ) +
               "ms";
    }
    std::string operator()(const ClearTimer& a) const { return "clear " + std::to_string(a.timer); }
    std::string operator()(const CancelTask& a) const { return "cancel " + std::to_string(a.task); }
    std::string operator()(const PoolFinished&) const { return "finished"; }
};

// The actions since the last call, as one line: "spawn 1, send 1:7".
std::string take(PoolActions& actions) {
    std::string line;
    for (const PoolAction& action : actions) {
        line += (line.empty() ? "" : ", ") + std::visit(ActionText{}, action);
    }
    actions.clear();
    return line;
}

constexpr std::chrono::nanoseconds slow = 1s;
constexpr std::chrono::nanoseconds quick = 10us;

const ExitStatus exited_normally{.exit_code = 0, .signal = {}};
const ExitStatus killed_by_9{.exit_code = {}, .signal = 9};

// A pool with workers 1 to `workers`, all idle, the highest number idle for the shortest time.
struct IdlePool {
    explicit IdlePool(std::size_t workers) : IdlePool({.max_workers = workers}, slow) {}
    explicit IdlePool(const PoolFsmConfig& config, std::chrono::nanoseconds run_time = slow)
        : fsm(config) {
        const std::size_t workers = config.max_workers;
        for (WorkerId id = 1; id <= workers; ++id) {
            fsm.submitted({.id = id}, false, out);
        }
        for (WorkerId id = 1; id <= workers; ++id) {
            fsm.worker_started(id, 100 + static_cast<std::int64_t>(id), out);
            fsm.worker_ready(id, out);
        }
        for (WorkerId id = 1; id <= workers; ++id) {
            BOOST_TEST(fsm.task_finished(id, id, run_time, false, out));
        }
        out.clear();
    }

    /// Has tasks of kind 1 prove to be short.
    void prove_short() {
        for (TaskId task = 100; task < 100 + RunTimes::proof; ++task) {
            submit_light(task);
            const WorkerId worker = std::get<SendTask>(out.back()).worker;
            fsm.task_finished(worker, task, quick, false, out);
        }
        out.clear();
    }
    void submit_light(TaskId task, TaskKind kind = 1) {
        fsm.submitted({.id = task, .kind = kind, .light = true}, false, out);
    }

    PoolFsm fsm;
    PoolActions out;
};

}  // namespace

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

namespace {

// Plays the supervisor and the workers, in every order that pipes and processes allow, and checks
// each action against what it knows.
class Simulation {
public:
    explicit Simulation(std::uint64_t seed)
        : random_(seed), config_(make_config()), fsm_(config_) {}

    void run() {
        for (int step = 0; step < 80; ++step) {
            random_event();
        }
        shut_down();
        // Whatever is left comes to its end, still in random order.
        for (int step = 0; finished_ == 0 && step < 10'000; ++step) {
            if (pick(8) == 0) {
                timer_event();
            }
            worker_event();
        }
        check(finished_ == 1, "the pool never finished");
        check(alive_.empty(), "finished with a worker alive");
        check(timers_.empty(), "finished with a timer set");
        for (const auto& [task, end] : ends_) {
            check(end == 1, "a task has not ended");
        }
        check(fsm_.queued() == 0 && fsm_.handed_over() == 0 && fsm_.running() == 0, "counts");
    }

private:
    struct SimulatedWorker {
        bool started = false;
        bool arrived = false;
        bool ready = false;
        bool stopped = false;
        bool killed = false;
        std::vector<TaskId> pipe{};
    };

    PoolFsmConfig make_config() {
        PoolFsmConfig config;
        config.max_workers = 1 + pick(4);
        config.window = 1 + pick(4);
        config.replace_workers = pick(2) == 0;
        if (pick(3) == 0) {
            config.max_queue = 1 + pick(4);
        }
        if (pick(3) == 0) {
            config.max_tasks_per_worker = 1 + pick(5);
        }
        if (pick(3) == 0) {
            config.idle_timeout = 1s;
        }
        if (pick(3) == 0) {
            config.start_timeout = 1s;
        }
        return config;
    }

    void random_event() {
        switch (pick(18)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            submit();
            break;
        case 5:
            cancel();
            break;
        case 6:
            if (pick(20) == 0) {
                shut_down();
            }
            break;
        case 7:
            if (pick(30) == 0) {
                shut_down_ = true;
                fsm_.terminate(pick(2) == 0, out_);
                perform();
            }
            break;
        case 8:
            timer_event();
            break;
        default:
            worker_event();
        }
    }

    void submit() {
        PoolTask task{
            .id = ++last_task_,
            .priority = static_cast<int>(pick(3)),
            .retries = static_cast<int>(pick(3)),
            .kind = pick(2),
            .light = pick(4) != 0};
        if (pick(8) == 0) {
            task.timeout = 1s;
        }
        tasks_.emplace(task.id, task);
        const bool open = !broken_ && !shut_down_;
        if (pick(4) == 0) {
            waiting_.insert(task.id);
            if (!fsm_.wait_for_room(task, out_)) {
                check(!open, "no waiting in an open pool");
                waiting_.erase(task.id);
            }
        } else {
            const bool has_room = fsm_.has_room() && waiting_.empty();
            const Admission admission = fsm_.submitted(task, false, out_);
            check((admission == Admission::refused) != open, "refused");
            check(admission != Admission::full || !has_room, "full");
            check(admission != Admission::taken || has_room, "taken");
            if (admission == Admission::taken) {
                ends_[task.id] = 0;
            }
        }
        perform();
    }

    void cancel() {
        if (last_task_ == 0) {
            return;
        }
        const TaskId task = 1 + pick(last_task_);
        if (fsm_.cancelled(task, out_)) {
            check(!sent_.contains(task), "cancelled after it was sent");
            if (waiting_.erase(task) == 0) {
                end(task);
            }
        }
        perform();
    }

    void shut_down() {
        shut_down_ = true;
        fsm_.shutdown(pick(3) == 0, out_);
        perform();
    }

    void timer_event() {
        if (timers_.empty()) {
            return;
        }
        const auto found =
            std::next(timers_.begin(), static_cast<std::ptrdiff_t>(pick(timers_.size())));
        const TimerId timer = *found;
        timers_.erase(found);
        fsm_.timer_expired(timer, out_);
        perform();
        fsm_.timer_expired(timer, out_);
        check(out_.empty(), "a timer expired twice");
    }

    void worker_event() {
        if (alive_.empty()) {
            timer_event();
            return;
        }
        auto found = std::next(alive_.begin(), static_cast<std::ptrdiff_t>(pick(alive_.size())));
        const WorkerId id = found->first;
        SimulatedWorker& worker = found->second;
        if (!worker.started) {
            start(id, worker);
        } else if (worker.killed || pick(100) == 0) {
            die(id);
        } else if (pick(200) == 0) {
            fsm_.worker_misbehaved(id, "garbage", pick(3), out_);
            perform();
        } else if (!worker.arrived) {
            worker.arrived = true;
            fsm_.worker_arrived(id, out_);
            perform();
        } else if (!worker.ready) {
            make_ready(id, worker);
        } else if (worker.pipe.size() > 1 && pick(10) == 0) {
            cancel_ahead(id, worker);
        } else if (!worker.pipe.empty()) {
            answer(id, worker);
        } else if (worker.stopped) {
            die(id);
        }
    }

    void start(WorkerId id, SimulatedWorker& worker) {
        if (pick(30) == 0) {
            alive_.erase(id);
            fsm_.spawn_failed(id, "no", out_);
        } else {
            worker.started = true;
            fsm_.worker_started(id, static_cast<std::int64_t>(1000 + id), out_);
        }
        perform();
    }

    void make_ready(WorkerId id, SimulatedWorker& worker) {
        if (pick(60) == 0) {
            fsm_.initializer_failed(id, "no", out_);
        } else {
            worker.ready = true;
            fsm_.worker_ready(id, out_);
        }
        perform();
    }

    void answer(WorkerId id, SimulatedWorker& worker) {
        const TaskId task = worker.pipe.front();
        worker.pipe.erase(worker.pipe.begin());
        const bool wrong = pick(200) == 0;
        const auto time = tasks_.at(task).kind == 0 ? quick : slow;
        if (fsm_.task_finished(id, wrong ? task + 1000 : task, time, pick(50) == 0, out_)) {
            check(!wrong, "accepted an answer for a task that was never sent");
            end(task);
        }
        perform();
    }

    // Also the first one, which the worker may have come to without having begun it.
    void cancel_ahead(WorkerId id, SimulatedWorker& worker) {
        const auto place =
            std::next(worker.pipe.begin(), static_cast<std::ptrdiff_t>(pick(worker.pipe.size())));
        const TaskId task = *place;
        // One whose tasks were taken from it still answers.
        const std::vector<TaskId> its = fsm_.tasks_of(id);
        const bool has_it = std::ranges::find(its, task) != its.end();
        if (has_it) {
            worker.pipe.erase(place);
        }
        check(fsm_.cancelled_ahead(id, task, out_) == has_it, "cancelled ahead");
        if (has_it) {
            end(task);
        }
        perform();
    }

    void die(WorkerId id) {
        alive_.erase(id);
        fsm_.worker_gone(id, killed_by_9, pick(2), out_);
        perform();
        fsm_.worker_gone(id, killed_by_9, 1, out_);  // late or doubled news
        fsm_.task_finished(id, 1, slow, false, out_);
        check(out_.empty(), "news of a worker that is gone had an effect");
    }

    void perform() {
        while (!out_.empty()) {
            PoolActions actions;
            actions.swap(out_);
            for (std::size_t i = 0; i < actions.size(); ++i) {
                const PoolAction action = actions[i];
                check(finished_ == 0, "an action after the end");
                std::visit([this](const auto& each) { perform(each); }, action);
                actions.insert(actions.end(), out_.begin(), out_.end());
                out_.clear();
            }
        }
    }

    void perform(const SpawnWorker& action) {
        check(alive_.emplace(action.worker, SimulatedWorker{}).second, "worker id used again");
        check(alive_.size() <= config_.max_workers, "too many workers");
        check(!broken_, "a worker for a broken pool");
    }
    void perform(const SendTask& action) {
        SimulatedWorker& worker = started(action.worker);
        check(worker.ready && !worker.stopped && !worker.killed, "sent to a worker not ready");
        check(sent_.insert(action.task).second, "sent twice");
        check(ends_.at(action.task) == 0, "sent after its end");
        if (pick(20) == 0) {
            sent_.erase(action.task);
            end(action.task);
            fsm_.not_sent(action.worker, action.task, out_);
            return;
        }
        check(action.ahead || worker.pipe.empty(), "behind others, and not ahead");
        worker.pipe.push_back(action.task);
        check(worker.pipe.size() <= config_.window, "too many tasks for a worker");
        if (worker.pipe.size() > 1) {
            check(tasks_.at(action.task).light, "a heavy task was sent ahead");
            check(tasks_.at(worker.pipe.front()).timeout == 0ns, "behind a task with a limit");
        }
    }
    void perform(const RecallTasks& action) {
        SimulatedWorker& worker = started(action.worker);
        check(worker.pipe.size() > 1, "recalled without a reason");
        const std::size_t count = pick(worker.pipe.size());
        for (std::size_t i = 0; i < count; ++i) {
            sent_.erase(worker.pipe.back());
            worker.pipe.pop_back();
        }
        fsm_.recalled(action.worker, count, out_);
    }
    void perform(const StopWorker& action) {
        SimulatedWorker& worker = started(action.worker);
        check(!worker.stopped && !worker.killed, "stopped twice, or after the kill");
        worker.stopped = true;
    }
    void perform(const KillWorker& action) { started(action.worker).killed = true; }
    void perform(const BreakPool&) {
        check(!broken_, "broken twice");
        broken_ = true;
    }
    void perform(const FailTask& action) {
        check(broken_, "failed by a pool that is not broken");
        end(action.task);
    }
    void perform(const LoseTask& action) {
        check(config_.replace_workers, "lost by a pool that breaks");
        const PoolTask& task = tasks_.at(action.task);
        check(action.blame.attempt <= task.retries + 1, "run too often");
        end(action.task);
    }
    void perform(const RequeueTask& action) {
        check(ends_.at(action.task) == 0, "run again after its end");
        sent_.erase(action.task);
    }
    void perform(const TimeOutTask& action) {
        check(tasks_.at(action.task).timeout != 0ns, "overran no limit");
        end(action.task);
    }
    void perform(const CancelTask& action) {
        check(shut_down_, "cancelled without shutdown");
        end(action.task);
    }
    void perform(const AdmitTask& action) {
        check(*waiting_.begin() == action.task, "admitted out of order");
        waiting_.erase(action.task);
        ends_[action.task] = 0;
    }
    void perform(const RefuseTask& action) {
        check(waiting_.erase(action.task) == 1, "refused what did not wait");
    }
    void perform(const SetTimer& action) {
        check(timers_.insert(action.timer).second, "timer id used again");
    }
    void perform(const ClearTimer& action) {
        check(timers_.erase(action.timer) == 1, "cleared a timer that was not set");
    }
    void perform(const PoolFinished&) { ++finished_; }

    SimulatedWorker& started(WorkerId id) {
        const auto found = alive_.find(id);
        check(found != alive_.end(), "an action for a worker that is gone");
        check(found->second.started, "an action for a worker without a process");
        return found->second;
    }

    // Those that a worker lost without blame are sent again, which is no second start.
    void end(TaskId task) {
        sent_.erase(task);
        check(++ends_.at(task) == 1, "a task ended twice");
    }

    static void check(bool good, const char* claim) {
        if (!good) {
            throw std::logic_error(claim);
        }
    }

    std::size_t pick(std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
    }

    std::mt19937_64 random_;
    PoolFsmConfig config_;
    PoolFsm fsm_;
    PoolActions out_;
    std::map<WorkerId, SimulatedWorker> alive_;
    std::map<TaskId, PoolTask> tasks_;
    std::map<TaskId, int> ends_;
    std::set<TaskId> sent_;
    std::set<TaskId> waiting_;
    std::set<TimerId> timers_;
    TaskId last_task_ = 0;
    bool broken_ = false;
    bool shut_down_ = false;
    int finished_ = 0;
};

}  // namespace

// Another seed, or more rounds: COFUTURES_TEST_SEED, COFUTURES_TEST_ROUNDS.
BOOST_AUTO_TEST_CASE(every_task_ends_once_in_any_order_of_events) {
    const char* given_seed = std::getenv("COFUTURES_TEST_SEED");
    const char* given_rounds = std::getenv("COFUTURES_TEST_ROUNDS");
    const std::uint64_t seed = given_seed ? std::stoull(given_seed) : std::random_device{}();
    const std::uint64_t rounds = given_rounds ? std::stoull(given_rounds) : 30'000;
    std::cout << "COFUTURES_TEST_SEED=" << seed << std::endl;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        try {
            Simulation(seed + round).run();
        } catch (const std::exception& error) {
            BOOST_FAIL(error.what() << " (COFUTURES_TEST_SEED=" << seed + round << ")");
        }
    }
    BOOST_TEST(rounds > 0U);
}

BOOST_AUTO_TEST_SUITE_END()
