#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE parity_deadlock
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

enum class Act : char { nothing, crash, exit, error };

void act(Act what) {
    switch (what) {
    case Act::nothing:
        break;
    case Act::crash:
        ::raise(SIGKILL);
        break;
    case Act::exit:
        std::exit(1);
    case Act::error:
        throw std::runtime_error("acting up");
    }
}

/// Acts up when it is encoded or decoded.
struct Actor {
    Act at_encoding = Act::nothing;
    Act at_decoding = Act::nothing;
};

int take(Actor) {
    return 1;
}

Actor give(Act at_encoding, Act at_decoding) {
    return {at_encoding, at_decoding};
}

std::size_t crash_with(const std::string& data) {
    ::raise(SIGKILL);
    return data.size();
}

}  // namespace

template <>
struct cofutures::Codec<Actor> {
    static void encode(Encoder& encoder, const Actor& actor) {
        act(actor.at_encoding);
        cofutures::encode(encoder, actor.at_decoding);
    }
    static Actor decode(Decoder& decoder) {
        const Actor actor{Act::nothing, cofutures::decode<Act>(decoder)};
        act(actor.at_decoding);
        return actor;
    }
};

BOOST_AUTO_TEST_SUITE(test_deadlock)

BOOST_AUTO_TEST_CASE(test_error_at_task_pickle) {
    ProcessPoolExecutor executor(2);
    error_of<std::runtime_error>(executor.submit(take, Actor{Act::error, Act::nothing}));
}

BOOST_AUTO_TEST_CASE(test_exit_at_task_unpickle) {
    ProcessPoolExecutor executor(2);
    error_of<BrokenProcessPool>(executor.submit(take, Actor{Act::nothing, Act::exit}));
}

// Python: the pool breaks. Here the one future fails.
BOOST_AUTO_TEST_CASE(test_error_at_task_unpickle) {
    ProcessPoolExecutor executor(2);
    error_of<std::runtime_error>(executor.submit(take, Actor{Act::nothing, Act::error}));
    BOOST_TEST(executor.submit(take, Actor{}).result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(test_crash_at_task_unpickle) {
    ProcessPoolExecutor executor(2);
    error_of<BrokenProcessPool>(executor.submit(take, Actor{Act::nothing, Act::crash}));
}

BOOST_AUTO_TEST_CASE(test_crash_during_func_exec_on_worker) {
    ProcessPoolExecutor executor(2);
    error_of<BrokenProcessPool>(executor.submit(act, Act::crash));
}

// Python: SystemExit in the future. Here std::exit ends the process.
BOOST_AUTO_TEST_CASE(test_exit_during_func_exec_on_worker) {
    ProcessPoolExecutor executor(2);
    const auto error = error_of<BrokenProcessPool>(executor.submit(act, Act::exit));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().exit_code == 1));
}

BOOST_AUTO_TEST_CASE(test_error_during_func_exec_on_worker) {
    ProcessPoolExecutor executor(2);
    error_of<std::runtime_error>(executor.submit(act, Act::error));
}

BOOST_AUTO_TEST_CASE(test_crash_during_result_pickle_on_worker) {
    ProcessPoolExecutor executor(2);
    error_of<BrokenProcessPool>(executor.submit(give, Act::crash, Act::nothing));
}

// Python: SystemExit in the future.
BOOST_AUTO_TEST_CASE(test_exit_during_result_pickle_on_worker) {
    ProcessPoolExecutor executor(2);
    error_of<BrokenProcessPool>(executor.submit(give, Act::exit, Act::nothing));
}

BOOST_AUTO_TEST_CASE(test_error_during_result_pickle_on_worker) {
    ProcessPoolExecutor executor(2);
    error_of<std::runtime_error>(executor.submit(give, Act::error, Act::nothing));
}

// Python: the pool breaks. Here the one future fails.
BOOST_AUTO_TEST_CASE(test_error_during_result_unpickle_in_result_handler) {
    ProcessPoolExecutor executor(2);
    error_of<std::runtime_error>(executor.submit(give, Act::nothing, Act::error));
    BOOST_TEST(executor.submit(take, Actor{}).result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(test_shutdown_deadlock) {
    ProcessGate gate;
    ProcessPoolExecutor executor(2);
    auto crash = executor.submit(
        [](const GateName& name) {
            pass(name);
            act(Act::crash);
        },
        gate.name()
    );
    gate.wait_for_arrivals(1);
    executor.shutdown(false);
    gate.open();
    executor.shutdown();
    error_of<BrokenProcessPool>(crash);
}

BOOST_AUTO_TEST_CASE(test_shutdown_deadlock_pickle) {
    ProcessPoolExecutor executor(2);
    executor.submit(take, Actor{}).result(generous);
    auto error = executor.submit(take, Actor{Act::error, Act::nothing});
    executor.shutdown(false);
    error_of<std::runtime_error>(error);
    executor.shutdown();
}

BOOST_AUTO_TEST_CASE(test_crash_big_data) {
    const std::string data(std::size_t{10} << 20, 'a');
    ProcessPoolExecutor executor(2);
    std::vector<Future<std::size_t>> futures;
    try {
        for (int i = 0; i < 10; ++i) {
            futures.push_back(executor.submit(crash_with, data));
        }
    } catch (const BrokenProcessPool&) {
    }
    for (const auto& future : futures) {
        error_of<BrokenProcessPool>(future);
    }
}

// The manager does nothing at all while a hundred thousand tasks are submitted.
BOOST_AUTO_TEST_CASE(test_gh105829_should_not_deadlock_if_wakeup_pipe_full) {
    constexpr int count = 100'000;
    Gate submitted;
    ProcessPoolExecutor executor(2);
    ProcessGate gate;
    auto first = executor.submit(pass, gate.name());
    first.add_done_callback([&] { submitted.wait(); });
    gate.open();
    first.result(generous);
    std::vector<Future<int>> futures;
    futures.reserve(count);
    for (int i = 0; i < count; ++i) {
        futures.push_back(executor.submit(take, Actor{}));
    }
    submitted.open();
    int sum = 0;
    for (const auto& future : futures) {
        sum += future.result(generous);
    }
    BOOST_TEST(sum == count);
}

BOOST_AUTO_TEST_SUITE_END()
