#include <cofutures/observer.hpp>

#define BOOST_TEST_MODULE observer
#include <boost/test/unit_test.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace cofutures;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Writes down what it is told, and whether each task's events come in order.
class Log final : public ExecutorObserver {
public:
    void task_queued(const TaskEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);
        BOOST_REQUIRE(!stages_.contains(event.task));
        stages_[event.task] = 1;
        lines_.push_back("queued " + std::string(event.name));
        in_order_ = in_order_ && event.worker.empty();
    }
    void task_started(const TaskEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);
        in_order_ = in_order_ && stages_[event.task]++ == 1;
        lines_.push_back("started " + std::string(event.name) + " on " + std::string(event.worker));
    }
    void task_finished(const TaskEvent& event, TaskOutcome outcome) noexcept override {
        const std::lock_guard lock(mutex_);
        const int stage = stages_[event.task];
        in_order_ = in_order_ && (stage == 2 || (stage == 1 && outcome != TaskOutcome::returned));
        stages_.erase(event.task);
        ++finished_;
        const char* const how = outcome == TaskOutcome::returned ? "returned "
                                : outcome == TaskOutcome::raised ? "raised "
                                                                 : "cancelled ";
        lines_.push_back(how + std::string(event.name));
    }

    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }
    [[nodiscard]] bool is_complete() const {
        const std::lock_guard lock(mutex_);
        return in_order_ && stages_.empty();
    }
    [[nodiscard]] std::uint64_t finished() const {
        const std::lock_guard lock(mutex_);
        return finished_;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::uint64_t, int> stages_;
    std::vector<std::string> lines_;
    std::uint64_t finished_ = 0;
    bool in_order_ = true;
};

using Lines = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(observer)

BOOST_AUTO_TEST_CASE(is_told_of_each_stage_with_names) {
    const auto log = std::make_shared<Log>();
    ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "seen", .observer = log});
    pool.submit({.name = "good"}, [] {}).result();
    BOOST_TEST(
        log->lines() == (Lines{"queued good", "started good on seen_0", "returned good"}),
        boost::test_tools::per_element()
    );
    pool.submit({.name = "bad"}, [] { throw 1; }).wait();
    BOOST_TEST(log->lines().back() == "raised bad");
    BOOST_TEST(log->is_complete());
}

BOOST_AUTO_TEST_CASE(a_task_without_a_name_is_called_by_its_type) {
    const auto log = std::make_shared<Log>();
    ThreadPoolExecutor pool({.max_workers = 1, .observer = log});
    const auto nothing = [] {
    };
    pool.submit(nothing).result();
    BOOST_TEST(
        log->lines()[0] ==
        "queued " + cofutures::detail::type_label<std::decay_t<decltype(nothing)>>()
    );
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_is_reported_when_the_pool_comes_to_it) {
    const auto log = std::make_shared<Log>();
    ThreadPoolExecutor pool({.max_workers = 1, .observer = log});
    Gate may_end;
    pool.submit([&] { may_end.wait(); });
    auto one = pool.submit({.name = "one"}, [] {});
    pool.submit({.name = "two"}, [] {});
    one.cancel();
    pool.shutdown(false, true);
    may_end.open();
    pool.shutdown();
    BOOST_TEST(log->is_complete());
    BOOST_TEST(log->finished() == 3U);
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_in_place_is_reported_once) {
    const auto log = std::make_shared<Log>();
    ThreadPoolExecutor pool({.max_workers = 1, .observer = log});
    pool.submit([&] { pool.submit([] {}).result(); }).result();
    pool.shutdown();
    BOOST_TEST(log->is_complete());
    BOOST_TEST(log->finished() == 2U);
}

BOOST_AUTO_TEST_CASE(refused_tasks_are_not_reported_and_lost_ones_raised) {
    const auto log = std::make_shared<Log>();
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [] { throw 1; }, .observer = log});
    const auto lost = pool.submit([] {});
    BOOST_CHECK_THROW(lost.result(), BrokenThreadPool);
    BOOST_CHECK_THROW(pool.submit([] {}), BrokenThreadPool);
    BOOST_TEST(log->is_complete());
    BOOST_TEST(log->finished() == 1U);
}

BOOST_AUTO_TEST_CASE(tasks_that_waited_for_room_are_reported_when_taken) {
    const auto log = std::make_shared<Log>();
    {
        ThreadPoolExecutor pool({.max_workers = 2, .max_queue = 2, .observer = log});
        std::vector<std::thread> producers;
        for (int i = 0; i < 3; ++i) {
            producers.emplace_back([&] {
                for (int n = 0; n < 300; ++n) {
                    auto future = pool.submit([] {});
                    if (n % 3 == 0) {
                        future.cancel();
                    }
                }
            });
        }
        for (std::thread& producer : producers) {
            producer.join();
        }
    }
    BOOST_TEST(log->is_complete());
    BOOST_TEST(log->finished() == 900U);
}

BOOST_AUTO_TEST_CASE(an_observer_may_submit) {
    class Submitter final : public ExecutorObserver {
    public:
        void task_queued(const TaskEvent& event) noexcept override {
            if (event.name == "first") {
                second = pool->submit({.name = "second"}, [] {});
            }
        }
        ThreadPoolExecutor* pool = nullptr;
        Future<void> second;
    };
    const auto submitter = std::make_shared<Submitter>();
    ThreadPoolExecutor pool({.max_workers = 1, .observer = submitter});
    submitter->pool = &pool;
    pool.submit({.name = "first"}, [] {}).result();
    submitter->second.result();
}

BOOST_AUTO_TEST_CASE(shutdown_races_submit_and_nothing_is_forgotten) {
    for (int round = 0; round < 200; ++round) {
        const auto log = std::make_shared<Log>();
        std::atomic<std::uint64_t> taken{0};
        {
            ThreadPoolExecutor pool({.max_workers = 2, .observer = log});
            std::thread producer([&] {
                try {
                    for (int i = 0; i < 20; ++i) {
                        pool.submit([] {});
                        ++taken;
                    }
                } catch (const ShutdownError&) {
                    return;
                }
            });
            pool.shutdown(true, round % 2 == 0);
            producer.join();
        }
        BOOST_REQUIRE(log->is_complete());
        BOOST_REQUIRE(log->finished() == taken);
    }
}

BOOST_AUTO_TEST_CASE(is_told_by_an_asio_executor_too) {
    const auto log = std::make_shared<Log>();
    {
        boost::asio::io_context context;
        AsioExecutor executor(context.get_executor(), log);
        executor.submit({.name = "good"}, [] {});
        auto cancelled = executor.submit({.name = "cancelled"}, [] {});
        cancelled.cancel();
        context.run();
        executor.submit({.name = "late"}, [] {});
        executor.shutdown(false, true);
    }
    BOOST_TEST(
        log->lines() == (Lines{
                            "queued good",
                            "queued cancelled",
                            "started good on ",
                            "returned good",
                            "cancelled cancelled",
                            "queued late",
                            "cancelled late",
                        }),
        boost::test_tools::per_element()
    );
    BOOST_TEST(log->is_complete());
}

BOOST_AUTO_TEST_SUITE_END()
