#pragma once

#include "process/pool_fsm.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

/// @file
/// What tests of PoolFsm share.

namespace cofutures::process {

/// An action in a few characters.
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

/// The actions since the last call, as one line: "spawn 1, send 1:7".
inline std::string take(PoolActions& actions) {
    std::string line;
    for (const PoolAction& action : actions) {
        line += (line.empty() ? "" : ", ") + std::visit(ActionText{}, action);
    }
    actions.clear();
    return line;
}

constexpr std::chrono::nanoseconds slow = std::chrono::seconds(1);
constexpr std::chrono::nanoseconds quick = std::chrono::microseconds(10);

inline const ExitStatus exited_normally{.exit_code = 0, .signal = {}};
inline const ExitStatus killed_by_9{.exit_code = {}, .signal = 9};

/// A pool with workers 1 to `workers`, all idle, the highest number idle for the shortest time.
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

}  // namespace cofutures::process
