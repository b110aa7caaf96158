#include "process/pool_fsm.hpp"

#define BOOST_TEST_MODULE pool_fsm_simulation
#include <boost/test/unit_test.hpp>

#include "unit/process/pool_fsm_test.hpp"

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

BOOST_AUTO_TEST_SUITE(pool_fsm_simulation)

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
