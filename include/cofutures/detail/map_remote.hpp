#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/detail/map_failure.hpp>
#include <cofutures/detail/map_linked_job.hpp>
#include <cofutures/detail/remote_call.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/task_descriptor.hpp>
#include <cofutures/detail/waiter.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// The worker's half of a chunk: makes one call for each item, and sends what became of it.
///
/// A chunk is the number of its items, then each item's arguments as a length and what submit()
/// would send. The answer is, for each, whether it returned, then a length and the value or the
/// failure.
template <class Call, class Callee>
struct RemoteMapThunk {
    static constexpr const char* name = Callee::name;

    static void run(std::uintptr_t function, Decoder& arguments, Encoder& result) {
        const std::size_t count = arguments.read_size(1, "the items of a chunk");
        std::vector<std::byte> outcome;
        for (std::size_t i = 0; i < count; ++i) {
            Decoder item(arguments.read(arguments.read_size(1)), arguments.blocks());
            outcome.clear();
            const bool returned = run_item(function, item, outcome, result.blocks());
            cofutures::encode(result, returned);
            result.write_size(outcome.size());
            result.write(outcome);
        }
        arguments.expect_end();
    }

private:
    static bool run_item(
        std::uintptr_t function,
        Decoder& arguments,
        std::vector<std::byte>& outcome,
        BlockStore* blocks
    ) {
        try {
            Encoder encoder(outcome, blocks);
            Call::descriptor().thunk(function, arguments, encoder);
            return true;
        } catch (...) {
            outcome.clear();
            Encoder encoder(outcome);
            encode_failure(encoder, std::current_exception(), name);
            return false;
        }
    }
};

/// The parent's half: all that differs between two callables of one signature, whose maps are of
/// one type.
template <class Value, class... Args>
struct RemoteMapCall {
    const TaskDescriptor* descriptor;  // of a chunk
    std::uintptr_t function;
    void (*encode_arguments)(Encoder& encoder, Args&... args);
    Value (*decode_result)(Decoder& decoder);
};

template <class Value, class Result>
Value decode_map_result(Decoder& decoder) {
    if constexpr (std::is_void_v<Result>) {
        return {};
    } else {
        return cofutures::decode<Value>(decoder);
    }
}

template <class Value, class... Args, class Fn>
RemoteMapCall<Value, Args...> remote_map_call(const Fn& fn) {
    using Call = RemoteCall<Fn, Args...>;
    return {
        .descriptor = &task_descriptor<RemoteMapThunk<Call, CalleeOf<Fn>>>,
        .function = Call::function(fn),
        .encode_arguments = &Call::encode_arguments,
        .decode_result = &decode_map_result<Value, typename Call::result_type>,
    };
}

/// A map whose items run in worker processes: a task for each offer, which is a chunk.
template <class Value, class... Args>
class RemoteMapJob final : public LinkedMapJob {
public:
    using Call = RemoteMapCall<Value, Args...>;
    using Slot = TypedMapSlot<Value, std::tuple<Args...>>;

    RemoteMapJob(std::shared_ptr<TaskSink> sink, bool ordered, const Call& call)
        : LinkedMapJob(std::move(sink), ordered), call_(call) {}

    MapStorage<Slot>& storage() noexcept { return storage_; }

    void stop() noexcept override {
        for (const auto& chunk : std::exchange(chunks_, {})) {
            chunk->cancel();
        }
    }

protected:
    std::size_t schedule(const MapRun& items, std::exception_ptr& error) override {
        while (!chunks_.empty() && chunks_.front()->done()) {
            chunks_.pop_front();
        }
        boost::intrusive_ptr<Chunk> chunk;
        try {
            chunk = new Chunk(self(), items, call_);
            chunks_.push_back(chunk);
            chunk->watch();
            this->sink().submit(chunk);
        } catch (...) {
            if (chunk == nullptr) {
                free_items(items, true);
            } else if (!chunk->withdraw()) {
                return items.count;  // it was failed, and its items with it
            }
            error = std::current_exception();
            return 0;
        }
        return items.count;
    }

    void destroy_outcome(MapSlot& slot, MapPhase outcome) noexcept override {
        static_cast<Slot&>(slot).destroy_outcome(outcome);
    }

private:
    class Chunk;

    std::shared_ptr<RemoteMapJob> self() {
        return std::static_pointer_cast<RemoteMapJob>(this->shared_from_this());
    }

    static void free_items(const MapRun& items, bool with_arguments) noexcept {
        items.for_each([with_arguments](MapSlot& slot) {
            if (with_arguments) {
                static_cast<Slot&>(slot).destroy_arguments();
            }
            slot.phase.store(MapPhase::free, std::memory_order_relaxed);
        });
    }

    const Call call_;
    MapStorage<Slot> storage_;
    std::deque<StatePtr> chunks_;  // the consumer's; those at the front that are done are let go
};

/// The task of one chunk. It is its own waiter: its end is that of items that have none yet.
template <class Value, class... Args>
class RemoteMapJob<Value, Args...>::Chunk final : public State<void>,
                                                  public RemoteTask,
                                                  public Waiter {
public:
    Chunk(std::shared_ptr<RemoteMapJob> job, const MapRun& items, const Call& call)
        : Waiter(Role::callback), job_(std::move(job)), items_(items), call_(call) {}

    RemoteTask* remote() noexcept override { return this; }

    [[nodiscard]] const TaskDescriptor& descriptor() const noexcept override {
        return *call_.descriptor;
    }
    [[nodiscard]] std::uintptr_t function() const noexcept override { return call_.function; }

    void encode_arguments(Encoder& encoder) override {
        std::vector<std::byte> all;
        std::vector<std::byte> one;
        Encoder to_all(all);
        std::size_t sent = 0;
        items_.for_each([&](MapSlot& slot) {
            one.clear();
            if (const auto error = encode_item(static_cast<Slot&>(slot), one, encoder.blocks())) {
                refused_.emplace_back(&slot, error);
                return;
            }
            to_all.write_size(one.size());
            to_all.write(one);
            ++sent;
        });
        items_.for_each([](MapSlot& slot) { static_cast<Slot&>(slot).destroy_arguments(); });
        encoded_ = true;
        encoder.write_size(sent);
        encoder.write(all);
    }

    void finish_from(Decoder& decoder) noexcept override {
        try {
            while (items_.count != 0) {
                if (!finish_refused()) {
                    const bool returned = cofutures::decode<bool>(decoder);
                    Decoder outcome(decoder.read(decoder.read_size(1)), decoder.blocks());
                    finish_item(returned, outcome);
                }
            }
            decoder.expect_end();
        } catch (...) {
            finish_with_error(std::current_exception());
            return;
        }
        finish();
    }

    void notify(StateBase& /*state*/) noexcept override {
        while (items_.count != 0) {
            if (finish_refused()) {
                continue;
            }
            Slot& slot = pop();
            destroy_unsent_arguments(slot);
            if (phase() == Phase::raised) {
                job_->finish(slot, slot.store_error(error()));
            } else {
                job_->finish(slot, MapPhase::cancelled);
            }
        }
        job_.reset();
    }

    /// Has the chunk told of its own end.
    void watch() noexcept { watched_ = this->add(*this); }

    /// Frees the items of a chunk that the pool has not taken; false if it has ended them instead.
    bool withdraw() noexcept {
        if (watched_ && !this->remove(*this)) {
            return false;
        }
        free_items(std::exchange(items_, {}), !encoded_);
        job_.reset();
        return true;
    }

private:
    std::exception_ptr
    encode_item(Slot& slot, std::vector<std::byte>& bytes, BlockStore* blocks) const {
        try {
            Encoder encoder(bytes, blocks);
            std::apply(
                [&](Args&... args) { call_.encode_arguments(encoder, args...); }, slot.arguments
            );
            return nullptr;
        } catch (...) {
            return std::current_exception();
        }
    }

    // The next item without an end. Once that has it, it is the consumer's.
    Slot& pop() noexcept { return static_cast<Slot&>(items_.pop_front()); }

    void destroy_unsent_arguments(Slot& slot) noexcept {
        if (!encoded_) {
            slot.destroy_arguments();
        }
    }

    bool finish_refused() noexcept {
        if (refused_.empty() || refused_.front().first != items_.first) {
            return false;
        }
        Slot& slot = pop();
        const auto outcome = slot.store_error(std::move(refused_.front().second));
        refused_.pop_front();
        job_->finish(slot, outcome);
        return true;
    }

    void finish_item(bool returned, Decoder& decoder) {
        std::exception_ptr error;
        if (!returned) {
            error = decode_failure(decoder);
        } else {
            error = store_value(static_cast<Slot&>(*items_.first), decoder);
        }
        Slot& slot = pop();
        job_->finish(slot, error ? slot.store_error(std::move(error)) : MapPhase::returned);
    }

    std::exception_ptr store_value(Slot& slot, Decoder& decoder) const noexcept {
        try {
            slot.store_result_of([&] { return call_.decode_result(decoder); });
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }

    std::shared_ptr<RemoteMapJob> job_;  // until the end
    MapRun items_;                       // those without an end
    const Call call_;
    bool watched_ = false;
    bool encoded_ = false;
    std::deque<std::pair<MapSlot*, std::exception_ptr>> refused_;  // could not be encoded
};

}  // namespace cofutures::detail
