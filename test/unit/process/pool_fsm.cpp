#include "process/pool_fsm.hpp"

#define BOOST_TEST_MODULE pool_fsm
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace cofutures::process;

namespace {

struct ActionText {
    std::string operator()(const SpawnWorker& a) const {
        return "spawn " + std::to_string(a.worker);
    }
    std::string operator()(const SendTask& a) const {
        return "send " + std::to_string(a.worker) + ":" + std::to_string(a.task);
    }
    std::string operator()(const StopWorker& a) const { return "stop " + std::to_string(a.worker); }
    std::string operator()(const KillWorker& a) const {
        return (a.force ? "kill " : "term ") + std::to_string(a.worker);
    }
    std::string operator()(const BreakPool& a) const {
        return "break " + std::to_string(a.worker) +
               (a.task ? ":" + std::to_string(*a.task) : std::string());
    }
    std::string operator()(const FailTask& a) const { return "fail " + std::to_string(a.task); }
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

constexpr ExitStatus exited_normally{.exit_code = 0, .signal = {}};
constexpr ExitStatus killed_by_9{.exit_code = {}, .signal = 9};

// A pool with workers 1 to `workers`, all idle, the highest number idle for the shortest time.
struct IdlePool {
    explicit IdlePool(std::size_t workers, std::size_t window = 1)
        : fsm({.max_workers = workers, .window = window}) {
        for (WorkerId id = 1; id <= workers; ++id) {
            fsm.submitted(id, out);
        }
        for (WorkerId id = 1; id <= workers; ++id) {
            fsm.worker_started(id, 100 + static_cast<std::int64_t>(id), out);
            fsm.worker_ready(id, out);
        }
        for (WorkerId id = 1; id <= workers; ++id) {
            BOOST_TEST(fsm.task_finished(id, id, out));
        }
        out.clear();
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
    BOOST_TEST(!fsm.submitted(1, out));
    BOOST_TEST(take(out) == "");
}

BOOST_AUTO_TEST_CASE(one_task_lives_from_spawn_to_finish) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    BOOST_TEST(fsm.submitted(1, out));
    BOOST_TEST(take(out) == "spawn 1");
    fsm.worker_started(1, 4711, out);
    BOOST_TEST(take(out) == "");
    fsm.worker_ready(1, out);
    BOOST_TEST(take(out) == "send 1:1");
    BOOST_TEST(fsm.handed_over() == 1U);
    BOOST_TEST(fsm.task_finished(1, 1, out));
    BOOST_TEST(take(out) == "");
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "stop 1");
    fsm.worker_gone(1, exited_normally, out);
    BOOST_TEST(take(out) == "finished");
    BOOST_TEST(!fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(a_worker_runs_the_first_of_its_tasks) {
    PoolFsm fsm({.max_workers = 1, .window = 2});
    PoolActions todo;
    BOOST_TEST(!fsm.running_task(1));
    fsm.submitted(5, todo);
    fsm.submitted(6, todo);
    fsm.worker_started(1, 100, todo);
    fsm.worker_ready(1, todo);
    BOOST_TEST((fsm.running_task(1) == 5U));
    fsm.task_finished(1, 5, todo);
    BOOST_TEST((fsm.running_task(1) == 6U));
    fsm.task_finished(1, 6, todo);
    BOOST_TEST(!fsm.running_task(1));
}

BOOST_AUTO_TEST_CASE(workers_start_one_for_each_waiting_task_up_to_the_limit) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    for (TaskId task = 1; task <= 4; ++task) {
        fsm.submitted(task, out);
    }
    BOOST_TEST(take(out) == "spawn 1, spawn 2");
    BOOST_TEST(fsm.queued() == 4U);
}

BOOST_AUTO_TEST_CASE(a_worker_that_is_starting_is_not_started_again) {
    PoolFsm fsm({.max_workers = 4});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.cancelled(1, out);
    fsm.submitted(2, out);
    BOOST_TEST(take(out) == "spawn 1");
}

BOOST_AUTO_TEST_CASE(sequential_tasks_reuse_one_worker) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 20; ++task) {
        pool.fsm.submitted(task, pool.out);
        BOOST_TEST(take(pool.out) == "send 1:" + std::to_string(task));
        pool.fsm.task_finished(1, task, pool.out);
    }
}

BOOST_AUTO_TEST_CASE(the_most_recently_idle_worker_is_used_first) {
    IdlePool pool(3);
    pool.fsm.submitted(10, pool.out);
    pool.fsm.submitted(11, pool.out);
    BOOST_TEST(take(pool.out) == "send 3:10, send 2:11");
    pool.fsm.task_finished(3, 10, pool.out);
    pool.fsm.task_finished(2, 11, pool.out);
    pool.fsm.submitted(12, pool.out);
    BOOST_TEST(take(pool.out) == "send 2:12");
}

BOOST_AUTO_TEST_CASE(tasks_are_handed_out_in_the_order_submitted) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 14; ++task) {
        pool.fsm.submitted(task, pool.out);
    }
    BOOST_TEST(pool.fsm.cancelled(11, pool.out));
    for (const TaskId task : {10U, 12U, 13U}) {
        BOOST_TEST(take(pool.out) == "send 1:" + std::to_string(task));
        pool.fsm.task_finished(1, task, pool.out);
    }
}

BOOST_AUTO_TEST_CASE(a_task_handed_over_can_no_longer_be_cancelled) {
    IdlePool pool(1);
    pool.fsm.submitted(10, pool.out);
    BOOST_TEST(!pool.fsm.cancelled(10, pool.out));
    BOOST_TEST(pool.fsm.task_finished(1, 10, pool.out));
    BOOST_TEST(!pool.fsm.cancelled(10, pool.out));
}

BOOST_AUTO_TEST_CASE(death_of_a_busy_worker_breaks_the_pool_once) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 14; ++task) {
        pool.fsm.submitted(task, pool.out);
    }
    BOOST_TEST(take(pool.out) == "send 2:10, send 1:11");
    pool.fsm.worker_gone(2, killed_by_9, pool.out);
    const auto cause = std::get<BreakPool>(pool.out.front());
    BOOST_TEST((cause.reason == BreakReason::worker_died));
    BOOST_TEST(cause.pid == 102);
    BOOST_TEST((cause.exit == killed_by_9));
    BOOST_TEST(take(pool.out) == "break 2:10, fail 10, fail 11, fail 12, fail 13, kill 1");
    BOOST_TEST(pool.fsm.is_broken());
    BOOST_TEST(!pool.fsm.submitted(14, pool.out));
    pool.fsm.worker_gone(1, killed_by_9, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.shutdown(false, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
}

BOOST_AUTO_TEST_CASE(death_of_an_idle_worker_breaks_the_pool) {
    IdlePool pool(2);
    pool.fsm.worker_gone(1, exited_normally, pool.out);
    BOOST_TEST(take(pool.out) == "break 1, kill 2");
}

BOOST_AUTO_TEST_CASE(death_of_a_starting_worker_breaks_the_pool) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.submitted(2, out);
    fsm.worker_started(1, 101, out);
    out.clear();
    fsm.worker_gone(1, exited_normally, out);
    BOOST_TEST(take(out) == "break 1, fail 1, fail 2");
    fsm.worker_started(2, 102, out);  // the pool broke while its process was being made
    BOOST_TEST(take(out) == "kill 2");
}

BOOST_AUTO_TEST_CASE(a_result_that_comes_after_the_break_changes_nothing) {
    IdlePool pool(2);
    pool.fsm.submitted(10, pool.out);
    pool.fsm.submitted(11, pool.out);
    pool.fsm.worker_gone(2, killed_by_9, pool.out);
    pool.out.clear();
    BOOST_TEST(!pool.fsm.task_finished(1, 11, pool.out));
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(an_answer_for_another_task_is_misbehaviour) {
    IdlePool pool(2);
    pool.fsm.submitted(10, pool.out);
    pool.out.clear();
    BOOST_TEST(!pool.fsm.task_finished(2, 99, pool.out));
    BOOST_TEST((std::get<BreakPool>(pool.out.front()).reason == BreakReason::worker_misbehaved));
    BOOST_TEST(take(pool.out) == "break 2:10, fail 10, kill 1, kill 2");
}

BOOST_AUTO_TEST_CASE(an_answer_of_an_idle_worker_is_misbehaviour) {
    IdlePool pool(1);
    BOOST_TEST(!pool.fsm.task_finished(1, 1, pool.out));
    BOOST_TEST(take(pool.out) == "break 1, kill 1");
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_breaks_the_pool_and_says_why) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.worker_started(1, 101, out);
    out.clear();
    fsm.initializer_failed(1, "no licence", out);
    const auto cause = std::get<BreakPool>(out.front());
    BOOST_TEST((cause.reason == BreakReason::initializer_failed));
    BOOST_TEST(cause.text == "no licence");
    BOOST_TEST(take(out) == "break 1, fail 1, kill 1");
    fsm.worker_gone(1, exited_normally, out);
    BOOST_TEST(take(out) == "");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_breaks_the_pool_if_there_is_no_worker) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    out.clear();
    fsm.spawn_failed(1, "no such file", out);
    BOOST_TEST(std::get<BreakPool>(out.front()).text == "no such file");
    BOOST_TEST(take(out) == "break 1, fail 1");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_leaves_the_work_to_the_other_workers) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.submitted(2, out);
    out.clear();
    fsm.spawn_failed(2, "out of processes", out);
    BOOST_TEST(take(out) == "");
    fsm.submitted(3, out);
    BOOST_TEST(take(out) == "");  // no attempt for each submission
    fsm.worker_started(1, 101, out);
    fsm.worker_ready(1, out);
    BOOST_TEST(take(out) == "send 1:1");
}

BOOST_AUTO_TEST_CASE(a_failed_spawn_that_nobody_waits_for_is_forgotten) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.cancelled(1, out);
    fsm.spawn_failed(1, "out of processes", out);
    fsm.submitted(2, out);
    fsm.submitted(3, out);
    BOOST_TEST(take(out) == "spawn 1, spawn 2, spawn 3");
}

BOOST_AUTO_TEST_CASE(shutdown_drains_the_queue_before_it_stops_the_workers) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted(task, pool.out);
    }
    pool.out.clear();
    pool.fsm.shutdown(false, pool.out);
    BOOST_TEST(take(pool.out) == "");
    BOOST_TEST(!pool.fsm.submitted(13, pool.out));
    pool.fsm.task_finished(2, 10, pool.out);
    BOOST_TEST(take(pool.out) == "send 2:12");
    pool.fsm.task_finished(1, 11, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1");
    pool.fsm.worker_gone(1, exited_normally, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.task_finished(2, 12, pool.out);
    pool.fsm.worker_gone(2, exited_normally, pool.out);
    BOOST_TEST(take(pool.out) == "stop 2, finished");
    pool.fsm.shutdown(true, pool.out);
    BOOST_TEST(take(pool.out) == "");
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_spares_only_what_a_worker_has) {
    IdlePool pool(1);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted(task, pool.out);
    }
    pool.out.clear();
    pool.fsm.shutdown(true, pool.out);
    BOOST_TEST(take(pool.out) == "cancel 11, cancel 12");
    BOOST_TEST(pool.fsm.task_finished(1, 10, pool.out));
    BOOST_TEST(take(pool.out) == "stop 1");
}

BOOST_AUTO_TEST_CASE(shutdown_stops_a_worker_that_is_still_starting) {
    PoolFsm fsm({.max_workers = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.cancelled(1, out);
    fsm.shutdown(false, out);
    BOOST_TEST(take(out) == "spawn 1");
    fsm.worker_started(1, 101, out);
    BOOST_TEST(take(out) == "stop 1");
    fsm.worker_ready(1, out);
    fsm.worker_gone(1, exited_normally, out);
    BOOST_TEST(take(out) == "finished");
}

BOOST_AUTO_TEST_CASE(the_end_of_a_stopped_worker_is_no_news_whatever_its_status) {
    IdlePool pool(2);
    pool.fsm.shutdown(false, pool.out);
    pool.fsm.worker_gone(1, killed_by_9, pool.out);
    pool.fsm.worker_gone(2, ExitStatus{}, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, stop 2, finished");
    BOOST_TEST(!pool.fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(terminate_cancels_the_queue_fails_what_runs_and_ends_the_workers) {
    IdlePool pool(2);
    for (TaskId task = 10; task < 13; ++task) {
        pool.fsm.submitted(task, pool.out);
    }
    pool.out.clear();
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "cancel 12, break 0, fail 10, fail 11, kill 1, kill 2");
    pool.fsm.worker_gone(1, killed_by_9, pool.out);
    pool.fsm.worker_gone(2, killed_by_9, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
}

BOOST_AUTO_TEST_CASE(terminate_can_be_gentle_first_and_forceful_later) {
    IdlePool pool(2);
    pool.fsm.submitted(10, pool.out);
    pool.out.clear();
    pool.fsm.terminate(false, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, break 0, fail 10, stop 2, term 1, term 2");
    pool.fsm.terminate(false, pool.out);
    BOOST_TEST(take(pool.out) == "");
    pool.fsm.worker_gone(1, {.exit_code = {}, .signal = 15}, pool.out);
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "kill 2");
}

BOOST_AUTO_TEST_CASE(terminate_of_an_idle_pool_breaks_nothing) {
    IdlePool pool(1);
    pool.fsm.terminate(true, pool.out);
    BOOST_TEST(take(pool.out) == "stop 1, kill 1");
    pool.fsm.worker_gone(1, killed_by_9, pool.out);
    BOOST_TEST(take(pool.out) == "finished");
    BOOST_TEST(!pool.fsm.is_broken());
}

BOOST_AUTO_TEST_CASE(a_wider_window_is_filled_only_when_no_other_worker_is_free) {
    PoolFsm fsm({.max_workers = 2, .window = 2});
    PoolActions out;
    fsm.submitted(1, out);
    fsm.worker_started(1, 101, out);
    fsm.worker_ready(1, out);
    fsm.submitted(2, out);
    BOOST_TEST(take(out) == "spawn 1, send 1:1, spawn 2");
    fsm.submitted(3, out);
    BOOST_TEST(take(out) == "send 1:2");  // worker 2 will begin task 3 sooner than worker 1 could
    fsm.worker_started(2, 102, out);
    fsm.worker_ready(2, out);
    BOOST_TEST(take(out) == "send 2:3");
    fsm.worker_gone(1, killed_by_9, out);
    BOOST_TEST(take(out) == "break 1:1, fail 1, fail 2, fail 3, kill 2");
}

namespace {

// Plays the supervisor and the workers, in every order that pipes and processes allow, and checks
// each action against what it knows.
class Simulation {
public:
    explicit Simulation(std::uint64_t seed)
        : random_(seed),
          max_workers_(1 + pick(4)),
          fsm_({.max_workers = max_workers_, .window = 1 + pick(3)}) {}

    void run() {
        for (int step = 0; step < 60; ++step) {
            random_event();
        }
        shut_down();
        // Whatever is left comes to its end, still in random order.
        for (int step = 0; finished_ == 0 && step < 10'000; ++step) {
            worker_event();
        }
        check(finished_ == 1, "the pool never finished");
        check(alive_.empty(), "finished with a worker alive");
        for (const auto& [task, end] : ends_) {
            check(end == 1, "a task has not ended");
        }
    }

private:
    struct SimulatedWorker {
        bool started = false;
        bool ready = false;
        bool stopped = false;
        bool killed = false;
        std::vector<TaskId> pipe{};
    };

    void random_event() {
        switch (pick(16)) {
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
                fsm_.terminate(pick(2) == 0, out_);
                shut_down_ = true;
                perform();
            }
            break;
        default:
            worker_event();
        }
    }

    void submit() {
        const TaskId task = ++last_task_;
        const bool expected = !broken_ && !shut_down_;
        if (expected) {
            ends_[task] = 0;
        }
        check(fsm_.submitted(task, out_) == expected, "submitted");
        perform();
    }

    void cancel() {
        if (last_task_ == 0) {
            return;
        }
        const TaskId task = 1 + pick(last_task_);
        if (fsm_.cancelled(task, out_)) {
            check(!sent_.contains(task), "cancelled after it was sent");
            end(task);
        }
        perform();
    }

    void shut_down() {
        shut_down_ = true;
        fsm_.shutdown(pick(3) == 0, out_);
        perform();
    }

    void worker_event() {
        if (alive_.empty()) {
            return;
        }
        auto found = std::next(alive_.begin(), static_cast<std::ptrdiff_t>(pick(alive_.size())));
        const WorkerId id = found->first;
        SimulatedWorker& worker = found->second;
        if (!worker.started) {
            start(id, worker);
        } else if (worker.killed || pick(150) == 0) {
            die(id);
        } else if (pick(200) == 0) {
            fsm_.worker_misbehaved(id, "garbage", out_);
            perform();
        } else if (!worker.ready) {
            make_ready(id, worker);
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
        if (fsm_.task_finished(id, wrong ? task + 1000 : task, out_)) {
            check(!wrong, "accepted an answer for a task that was never sent");
            end(task);
        }
        perform();
    }

    void die(WorkerId id) {
        alive_.erase(id);
        fsm_.worker_gone(id, killed_by_9, out_);
        perform();
        fsm_.worker_gone(id, killed_by_9, out_);  // late or doubled news
        fsm_.task_finished(id, 1, out_);
        check(out_.empty(), "news of a worker that is gone had an effect");
    }

    void perform() {
        PoolActions actions;
        actions.swap(out_);
        for (const PoolAction& action : actions) {
            check(finished_ == 0, "an action after the end");
            std::visit([this](const auto& each) { perform(each); }, action);
        }
    }

    void perform(const SpawnWorker& action) {
        check(alive_.emplace(action.worker, SimulatedWorker{}).second, "worker id used again");
        check(alive_.size() <= max_workers_, "too many workers");
        check(!broken_, "a worker for a broken pool");
    }
    void perform(const SendTask& action) {
        SimulatedWorker& worker = started(action.worker);
        check(worker.ready && !worker.stopped && !worker.killed, "sent to a worker not ready");
        check(sent_.insert(action.task).second, "sent twice");
        check(ends_.at(action.task) == 0, "sent after its end");
        worker.pipe.push_back(action.task);
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
        check(action.task > last_failed_, "failed out of order");
        last_failed_ = action.task;
        end(action.task);
    }
    void perform(const CancelTask& action) {
        check(shut_down_, "cancelled without shutdown");
        check(!sent_.contains(action.task), "cancelled after it was sent");
        end(action.task);
    }
    void perform(const PoolFinished&) { ++finished_; }

    SimulatedWorker& started(WorkerId id) {
        const auto found = alive_.find(id);
        check(found != alive_.end(), "an action for a worker that is gone");
        check(found->second.started, "an action for a worker without a process");
        return found->second;
    }

    void end(TaskId task) { check(++ends_.at(task) == 1, "a task ended twice"); }

    static void check(bool good, const char* claim) {
        if (!good) {
            throw std::logic_error(claim);
        }
    }

    std::size_t pick(std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
    }

    std::mt19937_64 random_;
    std::size_t max_workers_;
    PoolFsm fsm_;
    PoolActions out_;
    std::map<WorkerId, SimulatedWorker> alive_;
    std::map<TaskId, int> ends_;
    std::set<TaskId> sent_;
    TaskId last_task_ = 0;
    TaskId last_failed_ = 0;
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
