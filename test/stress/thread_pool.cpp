#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/books.hpp"
#include "support/crew.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"
#include "support/seed.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

// Arguments, behind the framework's own and `--`: how many rounds each case plays.

using namespace cofutures;
using cofutures::test::Books;
using cofutures::test::Crew;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

long rounds() {
    return test::rounds(200);
}

std::minstd_rand& dice() {
    static std::minstd_rand engine(cofutures::test::seed());
    return engine;
}

int roll(int sides) {
    return static_cast<int>(dice()() % static_cast<unsigned>(sides));
}

using Futures = std::vector<Future<void>>;

/// Tasks that submit tasks that submit tasks; some wait for one of theirs.
struct Tree {
    ThreadPoolExecutor& pool;
    std::atomic<long> taken{0};
    std::atomic<long> ran{0};

    void grow(int height) {
        constexpr int branches = 3;
        ++ran;
        for (int i = 0; i < branches && height > 0; ++i) {
            if (auto branch = plant(height - 1); branch && i == 1) {
                branch->wait();
            }
        }
    }

    std::optional<Future<void>> plant(int height) {
        try {
            auto root = pool.submit([this, height] { grow(height); });
            ++taken;
            return root;
        } catch (const ShutdownError&) {
            return std::nullopt;
        }
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool)

BOOST_AUTO_TEST_CASE(made_and_destroyed_under_load) {
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        {
            ThreadPoolExecutor pool(1 + roll(4));
            for (int i = roll(30); i >= 0; --i) {
                books.submit(pool);
            }
        }
        BOOST_REQUIRE(books.ran == books.wanted);
    }
}

BOOST_AUTO_TEST_CASE(shutdown_races_submit) {
    constexpr std::size_t submitters = 8;
    Crew crew(submitters + 2);
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        std::array<Futures, submitters> futures;
        std::optional<ThreadPoolExecutor> pool(std::in_place, 1 + roll(4));
        const int calls = roll(20);
        const bool wait = roll(2) == 0;
        const bool cancel = roll(2) == 0;
        crew.play([&](std::size_t index) {
            if (index < submitters) {
                for (int i = 0; i < calls; ++i) {
                    if (auto future = books.submit(*pool)) {
                        futures[index].push_back(*std::move(future));
                    }
                }
            } else {
                pool->shutdown(wait, cancel);
                if (wait) {
                    pool->shutdown(wait, cancel);
                }
            }
        });
        pool.reset();
        for (const Futures& some : futures) {
            for (const auto& future : some) {
                BOOST_REQUIRE(future.done());
                books.settle(future);
            }
        }
        BOOST_REQUIRE(books.balance());
        BOOST_REQUIRE(cancel || books.cancelled == 0);
    }
}

BOOST_AUTO_TEST_CASE(tasks_that_submit_tasks_race_others_and_shutdown) {
    constexpr std::size_t submitters = 2;
    Crew crew(submitters + 1);
    for (long round = 0; round < rounds(); ++round) {
        ThreadPoolExecutor pool(1 + roll(4));
        Tree tree{pool};
        const int height = roll(6);
        const bool at_once = roll(4) == 0;
        crew.play([&](std::size_t index) {
            if (index < submitters) {
                tree.plant(height);
                tree.plant(2);
            } else if (at_once) {
                pool.shutdown();
            }
        });
        while (!at_once && tree.ran != tree.taken) {
            std::this_thread::yield();
        }
        pool.shutdown();
        BOOST_REQUIRE(tree.ran == tree.taken);
    }
}

BOOST_AUTO_TEST_CASE(a_task_submits_just_as_the_other_thread_runs_out_of_work) {
    ThreadPoolExecutor pool(2);
    for (long round = 0; round < rounds(); ++round) {
        const int delay = roll(400);
        std::atomic<int> at_work{0};
        const auto meet = [&] {
            ++at_work;
            while (at_work < 2) {
                std::this_thread::yield();
            }
        };
        const auto other = pool.submit(meet);
        const auto first = pool.submit([&] {
            meet();
            for (std::atomic<int> i = 0; i < delay; ++i) {
            }
            Gate ran;
            const auto child = pool.submit([&] { ran.open(); });
            ran.wait();  // which the pool knows nothing of
        });
        first.result();
    }
}

BOOST_AUTO_TEST_CASE(cancel_races_start) {
    constexpr std::size_t calls = 16;
    Crew crew(3);
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        std::array<std::array<bool, calls>, 3> cancelled{};
        Futures futures;
        ThreadPoolExecutor pool(2);
        for (std::size_t i = 0; i < calls; ++i) {
            futures.push_back(*books.submit(pool));
        }
        crew.play([&](std::size_t index) {
            for (std::size_t i = 0; i < calls; ++i) {
                cancelled[index][i] = futures[calls - 1 - i].cancel();
            }
        });
        pool.shutdown();
        for (std::size_t i = 0; i < calls; ++i) {
            books.settle(futures[i]);
            for (const auto& answers : cancelled) {
                BOOST_REQUIRE(answers[calls - 1 - i] == futures[i].cancelled());
            }
        }
        BOOST_REQUIRE(books.balance());
    }
}

BOOST_AUTO_TEST_CASE(result_races_completion) {
    Crew crew(4);
    ThreadPoolExecutor pool(2);
    for (long round = 0; round < rounds(); ++round) {
        const auto value = pool.submit([round] { return std::make_unique<long>(round); });
        const auto error = pool.submit([round] { throw round; });
        std::atomic<int> right{0};
        crew.play([&](std::size_t index) {
            if (index % 2 == 0) {
                right += *value.result() == round ? 1 : 0;
            }
            try {
                error.result();
            } catch (long thrown) {
                right += thrown == round ? 1 : 0;
            }
            if (index % 2 != 0) {
                right += *value.result() == round ? 1 : 0;
            }
        });
        BOOST_REQUIRE(right == 8);
    }
}

BOOST_AUTO_TEST_CASE(stop_requests_race_the_call) {
    Crew crew(2);
    ThreadPoolExecutor pool(2);
    for (long round = 0; round < rounds(); ++round) {
        std::atomic<bool> go_on{true};
        const auto future = pool.submit([&go_on](const std::stop_token& token) {
            const std::stop_callback on_stop(token, [&go_on] { go_on = false; });
            while (go_on) {
                std::this_thread::yield();
            }
        });
        crew.play([&](std::size_t /*index*/) { future.request_stop(); });
        future.result();
        BOOST_REQUIRE(!future.request_stop());
    }
}

BOOST_AUTO_TEST_CASE(destroyed_right_after_a_result) {
    for (long round = 0; round < rounds(); ++round) {
        std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
        const long got = pool->submit([round] { return round; }).result();
        pool.reset();
        BOOST_REQUIRE(got == round);
    }
}

BOOST_AUTO_TEST_CASE(destroyed_by_its_own_task) {
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        Futures futures;
        auto owner = std::make_shared<ThreadPoolExecutor>(1 + roll(3));
        ThreadPoolExecutor& pool = *owner;
        const Future<void> last = pool.submit([owner] {});
        for (int i = roll(5); i > 0; --i) {
            // The owner's task may have run by now, but this thread is an owner as well.
            futures.push_back(*books.submit(pool));
        }
        owner.reset();
        last.result();
        for (const auto& future : futures) {
            books.settle(future);
        }
        BOOST_REQUIRE(books.ran == books.wanted);
    }
}

BOOST_AUTO_TEST_CASE(threads_for_calls_that_wait_for_each_other_start_during_shutdown) {
    for (long round = 0; round < rounds(); ++round) {
        ThreadPoolExecutor pool(3);
        pool.submit([] {}).result();  // its thread may be looking for work now
        std::array<Gate, 2> gates;
        pool.submit([&] { gates[0].wait(); });
        pool.submit([&] { gates[1].wait(), gates[0].open(); });
        pool.submit([&] { gates[1].open(); });
        pool.shutdown();
        BOOST_REQUIRE(gates[0].is_open());
    }
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_races_submit_and_shutdown) {
    constexpr std::size_t submitters = 3;
    Crew crew(submitters + 1);
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        std::atomic<int> starts{0};
        const int fails = 1 + roll(4);
        std::array<Futures, submitters> futures;
        std::optional<ThreadPoolExecutor> pool(
            std::in_place,
            ThreadPoolOptions{
                .max_workers = 3,
                .thread_name_prefix = "",
                .initializer =
                    [&starts, fails] {
                        if (++starts == fails) {
                            throw std::runtime_error("failed");
                        }
                    },
            }
        );
        const bool shut_down = roll(2) == 0;
        crew.play([&](std::size_t index) {
            if (index < submitters) {
                for (int i = 0; i < 5; ++i) {
                    if (auto future = books.submit(*pool)) {
                        futures[index].push_back(*std::move(future));
                    }
                }
            } else if (shut_down) {
                pool->shutdown(true);
            }
        });
        pool.reset();
        for (const Futures& some : futures) {
            for (const auto& future : some) {
                BOOST_REQUIRE(future.done());
                books.settle(future);
            }
        }
        BOOST_REQUIRE(books.balance());
    }
}

BOOST_AUTO_TEST_CASE(handlers_of_asio_race_submitted_calls) {
    Crew crew(4);
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        std::atomic<int> handled{0};
        std::optional<ThreadPoolExecutor> pool(std::in_place, 1 + roll(2));
        crew.play([&](std::size_t index) {
            for (int i = 0; i < 5; ++i) {
                if (index % 2 == 0) {
                    books.submit(*pool);
                } else {
                    boost::asio::post(pool->get_executor(), [&] {
                        ++handled;
                        books.submit(*pool);
                    });
                }
            }
        });
        pool.reset();
        BOOST_REQUIRE(handled == 10);
        BOOST_REQUIRE(books.wanted == 20);
        BOOST_REQUIRE(books.balance());
    }
}

BOOST_AUTO_TEST_SUITE_END()
