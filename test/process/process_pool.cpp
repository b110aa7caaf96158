#include <cofutures/process_pool_executor.hpp>

#include <cofutures/register_exception.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE process_pool
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "process/tasks.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

struct Familiar : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Before main, and so in workers too.
const bool familiar_is_registered = (register_exception<Familiar>(), true);

bool is_even(long number) {
    return number % 2 == 0;
}

int add(int a, int b) {
    return a + b;
}

struct Person {
    std::string name;
    int age = 0;
    std::vector<std::string> friends;

    bool operator==(const Person&) const = default;
};

Person older(Person person, int years) {
    person.age += years;
    person.friends.emplace_back("time");
    return person;
}

struct Doubler {
    int operator()(int value) const { return 2 * value; }
};

/// No exception type of the standard library's, nor of this one's.
class Strange : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Fails when it is encoded or decoded, as it is told.
struct Moody {
    int fails_in_encoder = 0;
    int fails_in_decoder = 0;
};

}  // namespace

template <>
struct cofutures::Codec<Moody> {
    static void fail(int how) {
        if (how == 1) {
            throw Strange("moody");
        }
        if (how == 2) {
            throw 42;  // NOLINT: on purpose
        }
        if (how == 3) {
            throw std::bad_alloc();
        }
    }
    static void encode(Encoder& encoder, const Moody& moody) {
        cofutures::encode(encoder, std::string(1000, 'x'));  // leaves something half done
        fail(moody.fails_in_encoder);
        cofutures::encode(encoder, moody.fails_in_decoder);
    }
    static Moody decode(Decoder& decoder) {
        static_cast<void>(cofutures::decode<std::string>(decoder));
        const Moody moody{0, cofutures::decode<int>(decoder)};
        fail(moody.fails_in_decoder);
        return moody;
    }
};

BOOST_AUTO_TEST_SUITE(process_pool)

// --- what can be called, sent and returned -------------------------------------------------------

BOOST_AUTO_TEST_CASE(calls_functions_lambdas_and_functors) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(!pool.submit(is_even, 112272535095293).result(generous));
    BOOST_TEST(pool.submit(&add, 1, 2).result(generous) == 3);
    BOOST_TEST(pool.submit<&add>(3, 4).result(generous) == 7);
    BOOST_TEST(pool.submit<Doubler{}>(5).result(generous) == 10);
    BOOST_TEST(pool.submit(Doubler(), 6).result(generous) == 12);
    BOOST_TEST(
        pool.submit([](const std::string& s) { return s.size(); }, "abc").result(generous) == 3U
    );
    BOOST_TEST(pool.submit([](auto a, auto b) { return a + b; }, 1.5, 2).result(generous) == 3.5);
    BOOST_CHECK_NO_THROW(pool.submit([] {}).result(generous));
    BOOST_TEST(
        (pool.submit(older, Person{"Ann", 30, {"Bob"}}, 5).result(generous) ==
         Person{"Ann", 35, {"Bob", "time"}})
    );
}

BOOST_AUTO_TEST_CASE(a_task_runs_in_another_process) {
    ProcessPoolExecutor pool(1);
    const pid_t worker = pool.submit(::getpid).result(generous);
    BOOST_TEST(worker != ::getpid());
    BOOST_TEST((pool.worker_pids() == std::vector<pid_t>{worker}));
    BOOST_TEST(pool.submit(::getppid).result(generous) == ::getpid());
}

BOOST_AUTO_TEST_CASE(submits_through_the_base_class) {
    ProcessPoolExecutor pool(1);
    Executor& executor = pool;
    BOOST_TEST(executor.submit(add, 1, 2).result(generous) == 3);
    int captured = 1;
    BOOST_CHECK_THROW(executor.submit([captured] { return captured; }), SerializationError);
    BOOST_CHECK_THROW(executor.submit([](std::stop_token) {}), SerializationError);
    struct NoCodec {
        NoCodec() = default;
        explicit NoCodec(int*) {}
        virtual ~NoCodec() = default;
    };
    BOOST_CHECK_THROW(executor.submit([](NoCodec) {}, NoCodec()), SerializationError);
    BOOST_CHECK_THROW(executor.submit([] { return NoCodec(); }), SerializationError);
    BOOST_TEST(executor.submit(add, 3, 4).result(generous) == 7);
}

BOOST_AUTO_TEST_CASE(a_null_function_fails_its_future) {
    ProcessPoolExecutor pool(1);
    int (*none)(int, int) = nullptr;
    error_of<UnknownTaskError>(pool.submit(none, 1, 2));
    BOOST_TEST(pool.submit(add, 1, 2).result(generous) == 3);
}

BOOST_AUTO_TEST_CASE(strings_keep_null_characters) {
    ProcessPoolExecutor pool(1);
    const std::string text("a\0b\0\0c", 6);
    auto same = pool.submit([](std::string s) { return s; }, text);
    BOOST_TEST((same.result(generous) == text));
}

BOOST_AUTO_TEST_CASE(values_of_many_types_arrive_as_they_were) {
    using Value = std::tuple<
        std::map<std::string, std::vector<int>>,
        std::optional<double>,
        std::variant<int, std::string>,
        std::pair<bool, char>,
        std::chrono::nanoseconds,
        std::filesystem::path>;
    ProcessPoolExecutor pool(1);
    const Value value{{{"a", {1, 2}}, {"", {}}}, std::nullopt, "v", {true, 'x'}, 17ns, "/tmp/x"};
    auto same = pool.submit([](const Value& v) { return v; }, value);
    BOOST_TEST((same.result(generous) == value));
}

BOOST_AUTO_TEST_CASE(arguments_and_results_may_be_move_only) {
    ProcessPoolExecutor pool(1);
    auto future = pool.submit(
        [](std::unique_ptr<Person> person) {
            person->age += 1;
            return person;
        },
        std::make_unique<Person>(Person{"Ann", 30, {}})
    );
    const std::unique_ptr<Person> person = std::move(future).result(generous);
    BOOST_REQUIRE(person);
    BOOST_TEST(person->age == 31);
    BOOST_TEST(pool.submit([](std::unique_ptr<int> p) { return !p; }, nullptr).result(generous));
}

BOOST_AUTO_TEST_CASE(arguments_and_results_of_64_mebibytes_arrive_as_they_were) {
    ProcessPoolExecutor pool(2);
    std::vector<double> values((std::size_t{64} << 20) / sizeof(double));
    std::iota(values.begin(), values.end(), 0.5);
    auto same = pool.submit([](std::vector<double> v) { return v; }, values);
    auto also = pool.submit([](std::vector<double> v) { return v; }, values);
    BOOST_TEST((same.result(generous) == values));
    BOOST_TEST((also.result(generous) == values));
}

BOOST_AUTO_TEST_CASE(a_reference_to_an_argument_may_be_returned) {
    ProcessPoolExecutor pool(1);
    auto future = pool.submit(
        [](const std::string& s) -> const std::string& { return s; }, std::string("kept")
    );
    BOOST_TEST(future.result(generous) == "kept");
}

BOOST_AUTO_TEST_CASE(tasks_may_live_in_libraries) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(library::shared_task, 20).result(generous) == 21);
    BOOST_TEST(pool.submit<&library::shared_task>(30).result(generous) == 31);
    BOOST_TEST(pool.submit(library::static_task, 20).result(generous) == 18);
    BOOST_TEST(library::submit_from_shared(pool, 40).result(generous) == 43);
}

// --- what a task throws --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(standard_exceptions_arrive_as_the_same_type) {
    ProcessPoolExecutor pool(1);
    const auto range =
        error_of<std::out_of_range>(pool.submit([] { throw std::out_of_range("far"); }));
    BOOST_REQUIRE(range);
    BOOST_TEST(std::string(range->what()) == "far");
    const auto system = error_of<std::system_error>(pool.submit([] {
        throw std::system_error(std::make_error_code(std::errc::io_error), "disk");
    }));
    BOOST_REQUIRE(system);
    BOOST_TEST((system->code() == std::errc::io_error));
    error_of<std::bad_alloc>(pool.submit([] { throw std::bad_alloc(); }));
    error_of<CancelledError>(pool.submit([] { throw CancelledError(); }));
    error_of<TimeoutError>(pool.submit([] { throw TimeoutError(); }));
}

BOOST_AUTO_TEST_CASE(a_task_that_throws_cancelled_error_was_not_cancelled) {
    ProcessPoolExecutor pool(1);
    auto future = pool.submit([] { throw CancelledError(); });
    BOOST_TEST(future.wait_for(generous));
    BOOST_TEST(!future.cancelled());
    BOOST_TEST((future.exception() != nullptr));
}

BOOST_AUTO_TEST_CASE(other_exceptions_arrive_as_remote_error) {
    ProcessPoolExecutor pool(1);
    const auto strange = error_of<RemoteError>(pool.submit([] { throw Strange("what"); }));
    BOOST_REQUIRE(strange);
    BOOST_TEST(std::string(strange->what()) == "what");
    BOOST_TEST(strange->type_name().find("Strange") != std::string::npos);
    BOOST_TEST(
        strange->remote_trace().find("worker " + std::to_string(pool.worker_pids().at(0))) !=
        std::string::npos
    );
    error_of<RemoteError>(pool.submit([] { throw 42; }));  // NOLINT: on purpose
}

BOOST_AUTO_TEST_CASE(registered_exceptions_arrive_as_themselves) {
    ProcessPoolExecutor pool(1);
    const auto familiar = error_of<Familiar>(pool.submit([] { throw Familiar("what"); }));
    BOOST_REQUIRE(familiar);
    BOOST_TEST(std::string(familiar->what()) == "what");
    auto numbers = pool.map(
        [](int number) {
            if (number == 1) {
                throw Familiar("one");
            }
            return number;
        },
        std::vector{0, 1, 2}
    );
    BOOST_TEST(numbers.next().value() == 0);
    BOOST_CHECK_THROW(static_cast<void>(numbers.next()), Familiar);
    BOOST_TEST(numbers.next().value() == 2);
}

BOOST_AUTO_TEST_CASE(errors_of_asio_arrive_with_their_codes) {
    ProcessPoolExecutor pool(1);
    const auto error = error_of<boost::system::system_error>(pool.submit([] {
        boost::asio::io_context io;
        boost::asio::ip::tcp::socket closed(io);
        closed.shutdown(closed.shutdown_both);
    }));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->code() == boost::asio::error::bad_descriptor));
}

BOOST_AUTO_TEST_CASE(nested_exceptions_stay_nested) {
    ProcessPoolExecutor pool(1);
    auto future = pool.submit([] {
        try {
            throw std::logic_error("inner");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("outer"));
        }
    });
    try {
        future.result(generous);
        BOOST_ERROR("no exception");
    } catch (const std::runtime_error& outer) {
        BOOST_TEST(std::string(outer.what()) == "outer");
        BOOST_CHECK_THROW(std::rethrow_if_nested(outer), std::logic_error);
    }
}

BOOST_AUTO_TEST_CASE(what_fails_to_be_encoded_or_decoded_hurts_only_its_future) {
    ProcessPoolExecutor pool(1);
    const auto take = [](Moody) {
    };
    const auto give = [](int encoder, int decoder) {
        return Moody{encoder, decoder};
    };
    // In this process the exception stays what it is; from the worker it comes as RemoteError.
    error_of<Strange>(pool.submit(take, Moody{1, 0}));
    error_of<RemoteError>(pool.submit(take, Moody{0, 1}));
    error_of<RemoteError>(pool.submit(give, 1, 0));
    error_of<Strange>(pool.submit(give, 0, 1));
    BOOST_CHECK_THROW(pool.submit(take, Moody{2, 0}).result(generous), int);
    BOOST_CHECK_THROW(static_cast<void>(pool.submit(give, 0, 2).result(generous)), int);
    error_of<RemoteError>(pool.submit(take, Moody{0, 2}));
    error_of<std::bad_alloc>(pool.submit(take, Moody{3, 0}));
    error_of<std::bad_alloc>(pool.submit(take, Moody{0, 3}));
    error_of<std::bad_alloc>(pool.submit(give, 3, 0));
    error_of<std::bad_alloc>(pool.submit(give, 0, 3));
    BOOST_TEST(pool.submit(add, 1, 2).result(generous) == 3);
    BOOST_TEST(pool.worker_pids().size() == 1U);
}

// --- the future's life ---------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(runs_tasks_in_the_order_submitted) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto first = pool.submit(pass, gate.name());
    std::vector<Future<int>> futures;
    futures.reserve(100);
    for (int i = 0; i < 100; ++i) {
        futures.push_back(pool.submit([] {
            static int count = 0;
            return count++;
        }));
    }
    gate.open();
    for (int i = 0; i < 100; ++i) {
        BOOST_TEST(futures[static_cast<std::size_t>(i)].result(generous) == i);
    }
}

BOOST_AUTO_TEST_CASE(running_means_that_a_worker_has_it_and_the_rest_can_be_cancelled) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(pass, gate.name());
    auto cancelled = pool.submit(pass, gate.name());
    auto last = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    BOOST_TEST(running.running());
    BOOST_TEST(!running.cancel());
    BOOST_TEST(!cancelled.running());
    BOOST_TEST(!last.running());
    BOOST_TEST(cancelled.cancel());
    BOOST_TEST(cancelled.done());
    gate.open();
    BOOST_TEST(last.result(generous) == running.result(generous));
    gate.wait_for_arrivals(1);
    BOOST_TEST(!gate.has_arrivals());
}

BOOST_AUTO_TEST_CASE(futures_outlive_the_pool) {
    std::optional<Future<std::string>> value;
    std::optional<Future<int>> error;
    {
        ProcessPoolExecutor pool(2);
        value = pool.submit([] { return std::string("here"); });
        error = pool.submit([]() -> int { throw std::logic_error("there"); });
    }
    BOOST_TEST(value->done());
    BOOST_TEST(value->result() == "here");
    BOOST_CHECK_THROW(static_cast<void>(error->result()), std::logic_error);
}

BOOST_AUTO_TEST_CASE(a_future_that_nobody_keeps_is_run_all_the_same) {
    ProcessGate gate;
    {
        ProcessPoolExecutor pool(1);
        pool.submit(arrive, gate.name());
    }
    gate.wait_for_arrivals(1);
}

BOOST_AUTO_TEST_CASE(callbacks_run_on_one_thread_which_is_not_the_submitters) {
    std::mutex mutex;  // guards threads
    std::vector<std::thread::id> threads;
    {
        ProcessGate gate;
        ProcessPoolExecutor pool(2);
        for (int i = 0; i < 10; ++i) {
            pool.submit(pass, gate.name()).add_done_callback([&] {
                const std::lock_guard lock(mutex);
                threads.push_back(std::this_thread::get_id());
            });
        }
        gate.open();
    }
    BOOST_TEST(threads.size() == 10U);
    BOOST_TEST(
        (std::adjacent_find(threads.begin(), threads.end(), std::not_equal_to()) == threads.end())
    );
    BOOST_TEST((threads.front() != std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(a_future_is_awaited_on_an_io_context) {
    ProcessPoolExecutor pool(1);
    boost::asio::io_context context;
    int sum = 0;
    std::string error;
    boost::asio::co_spawn(
        context,
        [&]() -> boost::asio::awaitable<void> {
            sum = co_await pool.submit(add, 1, 2);
            sum += co_await pool.submit(add, 3, 4);
            try {
                co_await pool.submit([] { throw std::logic_error("remote"); });
            } catch (const std::logic_error& thrown) {
                error = thrown.what();
            }
        },
        [](std::exception_ptr thrown) { BOOST_TEST((thrown == nullptr)); }
    );
    context.run_for(generous);
    BOOST_TEST(sum == 10);
    BOOST_TEST(error == "remote");
}

// --- callbacks that do much ----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_callback_may_submit_to_its_own_pool) {
    std::promise<int> done;
    ProcessPoolExecutor pool(1);
    pool.submit(add, 1, 2).add_done_callback([&](const Future<int>& sum) {
        pool.submit(add, sum.result(), 10).add_done_callback([&](const Future<int>& next) {
            done.set_value(next.result());
        });
    });
    auto result = done.get_future();
    BOOST_REQUIRE((result.wait_for(generous) == std::future_status::ready));
    BOOST_TEST(result.get() == 13);
}

BOOST_AUTO_TEST_CASE(a_callback_may_shut_its_own_pool_down_but_not_wait) {
    Gate ended;
    ProcessPoolExecutor pool(1);
    ProcessGate gate;
    auto future = pool.submit(pass, gate.name());
    auto waiting = pool.submit(add, 1, 2);
    future.add_done_callback([&] {
        thrown_by<DeadlockError>([&] { pool.shutdown(); });
        pool.shutdown(false);
        thrown_by<ShutdownError>([&] { pool.submit(::getpid); });
        ended.open();
    });
    gate.open();
    ended.wait();
    BOOST_TEST(waiting.result(generous) == 3);
}

BOOST_AUTO_TEST_CASE(a_callback_may_destroy_its_own_pool) {
    for (const bool with_work_left : {false, true}) {
        std::promise<void> destroyed;
        auto pool = std::make_unique<ProcessPoolExecutor>(1);
        ProcessGate gate;
        auto first = pool->submit(pass, gate.name());
        auto last = with_work_left ? pool->submit(pass, gate.name()) : first;
        first.add_done_callback([&] {
            pool.reset();
            destroyed.set_value();
        });
        const std::vector<pid_t> workers = [&] {
            gate.wait_for_arrivals(1);
            return pool->worker_pids();
        }();
        gate.open();
        auto result = destroyed.get_future();
        BOOST_REQUIRE((result.wait_for(generous) == std::future_status::ready));
        BOOST_CHECK_NO_THROW(last.result(generous));
        BOOST_TEST(wait_gone(workers.at(0)));
    }
}

BOOST_AUTO_TEST_CASE(a_callback_of_a_future_cancelled_by_shutdown_may_destroy_the_pool) {
    ProcessGate gate;
    auto pool = std::make_unique<ProcessPoolExecutor>(1);
    auto running = pool->submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    pool->submit(::getpid).add_done_callback([&] {
        gate.open();
        pool.reset();
    });
    pool->shutdown(true, true);
    BOOST_TEST(!pool);
    BOOST_TEST(running.done());
}

BOOST_AUTO_TEST_CASE(a_callback_that_throws_harms_nobody) {
    static std::atomic<int> reported;
    reported = 0;
    const auto before = set_callback_error_handler([](std::exception_ptr) noexcept { ++reported; });
    {
        ProcessPoolExecutor pool(1);
        auto future = pool.submit(add, 1, 2);
        auto seen = future.then([](int) {});
        future.add_done_callback([] { throw std::runtime_error("callback"); });
        BOOST_CHECK_NO_THROW(seen.result(generous));
        BOOST_TEST(pool.submit(add, 3, 4).result(generous) == 7);
    }
    BOOST_TEST(reported == 1);
    set_callback_error_handler(before);
}

// --- the pool ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(two_pools_work_side_by_side) {
    ProcessPoolExecutor one(1);
    ProcessPoolExecutor two(1);
    auto a = one.submit(::getpid);
    auto b = two.submit(::getpid);
    BOOST_TEST(a.result(generous) != b.result(generous));
    one.kill_workers();
    BOOST_TEST(two.submit(add, 1, 2).result(generous) == 3);
}

BOOST_AUTO_TEST_CASE(options_are_checked) {
    for (const int workers : {0, -1}) {
        const auto error =
            thrown_by<std::invalid_argument>([&] { ProcessPoolExecutor pool(workers); });
        BOOST_REQUIRE(error);
        BOOST_TEST(std::string(error->what()) == "max_workers must be greater than 0");
    }
}

BOOST_AUTO_TEST_SUITE_END()
