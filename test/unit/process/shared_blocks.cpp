#include "process/block_arena.hpp"

#include <cofutures/error.hpp>
#include <cofutures/share.hpp>

#include "process/block_reader.hpp"
#include "process/result_blocks.hpp"

#define BOOST_TEST_MODULE shared_blocks
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace cofutures::process;
using cofutures::SerializationError;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Bytes = std::vector<std::byte>;

// What the other process has of it.
SharedMemory twin_of(int descriptor) {
    return SharedMemory(FileDescriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, 3)));
}

Bytes pattern(std::size_t size, int seed) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i * 31 + static_cast<std::size_t>(seed));
    }
    return bytes;
}

bool holds(std::span<const std::byte> block, const Bytes& expected) {
    return std::ranges::equal(block, expected);
}

BOOST_AUTO_TEST_CASE(what_one_side_puts_the_other_reads) {
    const auto arena = BlockArena::make();
    BOOST_REQUIRE(arena != nullptr);
    auto twin = twin_of(arena->descriptor());
    MessageBlocks blocks(arena);
    const Bytes small = pattern(100, 1);
    const Bytes large = pattern(std::size_t{3} << 20, 2);
    const auto first = blocks.put(small);
    const auto second = blocks.put(large);
    BOOST_REQUIRE((first && second));
    BlockReader reader(&twin);
    BOOST_TEST(holds(reader.get(*first, small.size()), small));
    BOOST_TEST(holds(reader.get(*second, large.size()), large));
}

BOOST_AUTO_TEST_CASE(memory_that_grew_after_it_was_mapped_is_read_too) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    MessageBlocks blocks(arena);
    for (int i = 0; i < 8; ++i) {
        const Bytes bytes = pattern(std::size_t{1} << (17 + i), i);
        const auto place = blocks.put(bytes);
        BOOST_REQUIRE(place.has_value());
        BOOST_TEST(holds(BlockReader(&twin).get(*place, bytes.size()), bytes));
    }
}

BOOST_AUTO_TEST_CASE(blocks_are_free_again_when_their_message_goes) {
    const auto arena = BlockArena::make();
    const Bytes bytes = pattern(200'000, 1);
    std::uint64_t place = 0;
    {
        MessageBlocks blocks(arena);
        place = *blocks.put(bytes);
        BOOST_TEST(arena->in_use() >= bytes.size());
    }
    BOOST_TEST(arena->in_use() == 0U);
    MessageBlocks again(arena);
    BOOST_TEST(*again.put(bytes) == place);
}

BOOST_AUTO_TEST_CASE(without_an_arena_nothing_is_put) {
    MessageBlocks blocks(nullptr);
    BOOST_TEST(!blocks.put(pattern(10, 1)));
    BOOST_TEST(blocks.empty());
}

BOOST_AUTO_TEST_CASE(threads_put_at_the_same_time) {
    const auto arena = BlockArena::make();
    std::vector<std::thread> threads;
    std::vector<int> wrong(4, 0);
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&arena, &bad = wrong[static_cast<std::size_t>(i)], i] {
            auto twin = twin_of(arena->descriptor());
            for (int round = 0; round < 50; ++round) {
                MessageBlocks blocks(arena);
                const Bytes bytes = pattern(100'000, i * 1000 + round);
                const auto place = blocks.put(bytes);
                bad += place && holds(BlockReader(&twin).get(*place, bytes.size()), bytes) ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    BOOST_TEST(std::ranges::count(wrong, 0) == 4);
    BOOST_TEST(arena->in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(range_outside_of_the_memory_is_refused) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    BOOST_CHECK_THROW(BlockReader(&twin).get(0, 1), SerializationError);
    MessageBlocks blocks(arena);
    const auto place = blocks.put(pattern(1000, 1));
    constexpr std::uint64_t unit = RangeAllocator::unit;
    BlockReader reader(&twin);
    BOOST_CHECK_THROW(reader.get(*place, unit + 1), SerializationError);
    BOOST_CHECK_THROW(reader.get(*place + unit, 1), SerializationError);
    BOOST_CHECK_THROW(reader.get(~std::uint64_t{0}, 2), SerializationError);
    BOOST_CHECK_THROW(reader.get(1, static_cast<std::size_t>(-1)), SerializationError);
    BOOST_CHECK_THROW(BlockReader(nullptr).get(0, 1), SerializationError);
}

BOOST_AUTO_TEST_CASE(message_that_names_one_block_again_and_again_is_refused) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    MessageBlocks blocks(arena);
    const auto place = blocks.put(pattern(RangeAllocator::unit, 1));
    BlockReader reader(&twin);
    BOOST_TEST(reader.get(*place, RangeAllocator::unit).size() == RangeAllocator::unit);
    BOOST_CHECK_THROW(reader.get(*place, RangeAllocator::unit), SerializationError);
}

BOOST_AUTO_TEST_CASE(memory_cannot_be_taken_away) {
    const auto arena = BlockArena::make();
    MessageBlocks blocks(arena);
    BOOST_TEST(blocks.put(pattern(1000, 1)).has_value());
    BOOST_TEST(ftruncate(arena->descriptor(), 0) != 0);
}

// As where pages are larger than what is given out.
BOOST_AUTO_TEST_CASE(range_of_a_workers_memory_may_begin_and_end_within_a_page) {
    constexpr std::size_t size = std::size_t{4} << 20;
    for (const std::size_t begin : {std::size_t{0}, std::size_t{100}}) {
        const std::size_t end = begin + size / 2 + 100;
        SharedMemory memory;
        memory.extend(size);
        BOOST_REQUIRE(memory.detach(size));
        BOOST_TEST(memory.provide(begin, end - begin));
        const auto bytes = memory.view(0, size);
        const Bytes expected = pattern(size, 1);
        std::ranges::copy(expected, bytes.begin());
        memory.give_back(begin, end - begin);
        BOOST_TEST(std::ranges::equal(bytes.first(begin), std::span(expected).first(begin)));
        BOOST_TEST(std::ranges::equal(bytes.subspan(end), std::span(expected).subspan(end)));
    }
}

BOOST_AUTO_TEST_CASE(workers_memory_is_used_again_when_its_answers_were_read) {
    ResultMemory pool;
    auto twin = twin_of(pool.memory().descriptor());
    ResultBlocks worker(twin);
    const Bytes bytes = pattern(200'000, 1);
    const auto first = worker.put(bytes);
    worker.answered();
    const auto second = worker.put(bytes);  // the first has not been read
    worker.answered();
    BOOST_REQUIRE((first && second));
    BOOST_TEST(*first != *second);
    BOOST_TEST(holds(BlockReader(&pool.memory()).get(*first, bytes.size()), bytes));
    pool.answer_was_read();
    BOOST_TEST(*worker.put(bytes) == *first);
}

BOOST_AUTO_TEST_CASE(answers_without_blocks_count_too) {
    ResultMemory pool;
    auto twin = twin_of(pool.memory().descriptor());
    ResultBlocks worker(twin);
    worker.answered();
    const auto place = worker.put(pattern(1000, 1));
    worker.answered();
    pool.answer_was_read();
    BOOST_TEST(*worker.put(pattern(1000, 2)) != *place);
    worker.answered();
    pool.answer_was_read();
    BOOST_TEST(*worker.put(pattern(1000, 3)) == *place);
}

BOOST_AUTO_TEST_CASE(blocks_of_an_answer_that_was_given_up_are_free_at_once) {
    ResultMemory pool;
    auto twin = twin_of(pool.memory().descriptor());
    ResultBlocks worker(twin);
    const auto place = worker.put(pattern(1000, 1));
    worker.drop();
    BOOST_TEST(*worker.put(pattern(1000, 2)) == *place);
}

BOOST_AUTO_TEST_CASE(worker_needs_no_descriptor) {
    const auto arena = BlockArena::make();
    ResultMemory pool;
    auto arguments = twin_of(arena->descriptor());
    auto results = twin_of(pool.memory().descriptor());
    BOOST_REQUIRE((arguments.detach(BlockArena::limit) && results.detach(ResultBlocks::limit)));
    BOOST_TEST(arguments.descriptor() == -1);
    BOOST_TEST(results.descriptor() == -1);
    ResultBlocks worker(results);
    SharedValues values;
    MessageBlocks blocks(arena);
    for (int i = 0; i < 6; ++i) {
        const Bytes bytes = pattern(std::size_t{1} << (17 + i), i);
        const auto there = blocks.put(bytes);
        BOOST_REQUIRE(there.has_value());
        BOOST_TEST(holds(BlockReader(&arguments, &values).get(*there, bytes.size()), bytes));
        const auto back = worker.put(bytes);
        BOOST_REQUIRE(back.has_value());
        BOOST_TEST(holds(BlockReader(&pool.memory()).get(*back, bytes.size()), bytes));
        worker.answered();
        pool.answer_was_read();
    }
    BOOST_CHECK_THROW(static_cast<void>(arguments.view(BlockArena::limit, 1)), SerializationError);
}

BOOST_AUTO_TEST_CASE(memory_that_was_never_written_is_not_read) {
    ResultMemory pool;
    // A worker that names a part of the file where it has put nothing.
    BOOST_CHECK_THROW(
        BlockReader(&pool.memory()).get(RangeAllocator::unit, std::size_t{1} << 30),
        SerializationError
    );
}

BOOST_AUTO_TEST_CASE(counter_is_never_given_out) {
    ResultMemory pool;
    auto twin = twin_of(pool.memory().descriptor());
    ResultBlocks worker(twin);
    BOOST_TEST(*worker.put(pattern(1000, 1)) >= RangeAllocator::unit);
}

// A message of one value, as a pool makes it and a worker reads it.
template <class T>
struct Message {
    Message(const T& value, const std::shared_ptr<BlockArena>& arena) : blocks(arena) {
        cofutures::Encoder encoder(bytes, &blocks);
        cofutures::encode(encoder, value);
    }

    T read(BlockReader reader) const {
        cofutures::Decoder decoder(bytes, &reader);
        T value = cofutures::decode<T>(decoder);
        decoder.expect_end();
        return value;
    }

    MessageBlocks blocks;
    Bytes bytes;
};

using Table = std::vector<int>;
using cofutures::Shared;

BOOST_AUTO_TEST_CASE(shared_value_is_encoded_once_and_decoded_once) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    SharedValues values;
    const auto table = cofutures::share(Table{1, 2, 3});
    const Message<Shared<Table>> first(table, arena);
    const auto in_use = arena->in_use();
    const Message<Shared<Table>> second(table, arena);
    BOOST_TEST(arena->in_use() == in_use);
    const auto a = first.read(BlockReader(&twin, &values));
    const auto b = second.read(BlockReader(&twin, &values));
    BOOST_TEST(*a == *table);
    BOOST_TEST(&*a == &*b);
    BOOST_TEST(values.size() == 1U);
}

BOOST_AUTO_TEST_CASE(shared_value_stays_as_long_as_a_handle_or_a_message) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    {
        std::optional<Message<Shared<Table>>> message;
        {
            const auto table = cofutures::share(Table{1, 2, 3});
            message.emplace(table, arena);
            message.reset();
            BOOST_TEST(arena->in_use() != 0U);
            message.emplace(table, arena);
        }
        BOOST_TEST(arena->in_use() != 0U);
        BOOST_TEST(message->read(BlockReader(&twin))->size() == 3U);
    }
    BOOST_TEST(arena->in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(worker_lets_go_of_what_the_pool_has_let_go_of) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    SharedValues values;
    for (int i = 0; i < 3; ++i) {
        const Message<Shared<Table>> message(cofutures::share(Table{i}), arena);
        BOOST_TEST(message.read(BlockReader(&twin, &values))->front() == i);
        BOOST_TEST(values.size() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(shared_value_that_is_gone_is_refused) {
    const auto arena = BlockArena::make();
    auto twin = twin_of(arena->descriptor());
    Bytes bytes;
    {
        const Message<Shared<Table>> message(cofutures::share(Table{1}), arena);
        bytes = message.bytes;
    }
    BlockReader reader(&twin);
    cofutures::Decoder decoder(bytes, &reader);
    BOOST_CHECK_THROW(
        static_cast<void>(cofutures::decode<Shared<Table>>(decoder)), SerializationError
    );
}

BOOST_AUTO_TEST_CASE(shared_value_travels_in_the_message_where_no_memory_is_shared) {
    const auto table = cofutures::share(Table{1, 2, 3});
    const Message<Shared<Table>> message(table, nullptr);
    BOOST_TEST(*message.read(BlockReader(nullptr)) == *table);
}

BOOST_AUTO_TEST_CASE(shared_value_keeps_no_arena) {
    auto arena = BlockArena::make();
    const auto table = cofutures::share(Table{1, 2, 3});
    std::make_unique<Message<Shared<Table>>>(table, arena).reset();
    const std::weak_ptr<BlockArena> watched = arena;
    arena.reset();
    BOOST_TEST(watched.expired());
}

BOOST_AUTO_TEST_CASE(two_pools_have_copies_of_their_own) {
    const auto one = BlockArena::make();
    const auto other = BlockArena::make();
    const auto table = cofutures::share(Table{1, 2, 3});
    {
        const Message<Shared<Table>> first(table, one);
        const Message<Shared<Table>> second(table, other);
        BOOST_TEST(one->in_use() != 0U);
        BOOST_TEST(other->in_use() != 0U);
    }
    auto twin = twin_of(other->descriptor());
    const Message<Shared<Table>> third(table, other);
    BOOST_TEST(*third.read(BlockReader(&twin)) == *table);
}

}  // namespace
