#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/export.hpp>
#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>
#include <cofutures/detail/shared_content.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures {

/// A value that many calls use and none changes: a handle on one object that all copies share.
///
/// As an argument of calls in worker processes it is encoded once for each pool and decoded once in
/// each worker, however many calls it is an argument of. In this process nothing is copied at all.
/// A function that takes a `const T&` or a `T` can be called with it:
///
/// @code{.cpp} run
/// long sum(const std::vector<long>& table, std::size_t first, std::size_t last) {
///     return std::accumulate(table.begin() + first, table.begin() + last, 0L);
/// }
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool(2);
///     const auto table = cofutures::share(std::vector<long>(1'000'000, 2));
///     auto low = pool.submit(sum, table, 0, 500'000);
///     auto high = pool.submit(sum, table, 500'000, 1'000'000);
///     assert(low.result() + high.result() == 2'000'000);
/// }
/// @endcode
///
/// **Lifetime.** The object lives as long as a handle. What a pool holds of it for its workers is
/// let go when neither a handle nor a call needs it any more; a worker lets go of its own before it
/// decodes another shared value.
///
/// @tparam T       Any type; for worker processes one that has a codec.
/// @thread_safety  Distinct objects: safe. Shared objects: safe, but for assigning to a handle
/// while
///                 another thread uses that very handle.
/// @python         none; there a global of the initializer's serves.
template <class T>
class Shared {
public:
    /// What is shared.
    using element_type = T;

    /// The object.
    [[nodiscard]] const T& get() const noexcept { return content_->value; }
    [[nodiscard]] const T& operator*() const noexcept { return get(); }
    [[nodiscard]] const T* operator->() const noexcept { return std::addressof(get()); }
    operator const T&() const noexcept { return get(); }  // NOLINT(google-explicit-constructor)

private:
    template <class U>
    friend Shared<std::decay_t<U>> share(U&& value);
    friend detail::BuiltinCodec<Shared>;

    struct Content final : detail::SharedContent {
        template <class... Args>
        explicit Content(std::in_place_t, Args&&... args) : value(std::forward<Args>(args)...) {}

        void encode(std::vector<std::byte>& out) const override {
            if constexpr (Encodable<T>) {
                Encoder encoder(out);
                cofutures::encode(encoder, value);
            }
        }

        const T value;
    };

    explicit Shared(std::shared_ptr<Content> content) noexcept : content_(std::move(content)) {}

    std::shared_ptr<Content> content_;
};

/// Makes a value shared: see Shared.
///
/// @complexity  One allocation, and what moving or copying the value costs.
template <class U>
[[nodiscard]] Shared<std::decay_t<U>> share(U&& value) {
    using Content = typename Shared<std::decay_t<U>>::Content;
    return Shared<std::decay_t<U>>(std::make_shared<Content>(std::in_place, std::forward<U>(value))
    );
}

namespace detail {

/// A shared value travels as the name of what the receiver has already, or finds in shared memory;
/// where no memory is shared, as itself.
template <class T>
struct BuiltinCodec<Shared<T>> {
    using parts = Types<T>;

    static consteval std::size_t min_size() { return 1; }

    static void encode(Encoder& encoder, const Shared<T>& shared) {
        BlockStore* const blocks = encoder.blocks();
        const auto place = blocks == nullptr ? std::nullopt : blocks->share(*shared.content_);
        cofutures::encode(encoder, place.has_value());
        if (place) {
            cofutures::encode(encoder, shared.content_->id());
            cofutures::encode(encoder, place->offset);
            cofutures::encode(encoder, place->size);
        } else {
            cofutures::encode(encoder, shared.get());
        }
    }

    static Shared<T> decode(Decoder& decoder) {
        if (!cofutures::decode<bool>(decoder)) {
            return make(decoder);
        }
        const auto id = cofutures::decode<std::uint64_t>(decoder);
        SharedPlace place;
        place.offset = cofutures::decode<std::uint64_t>(decoder);
        place.size = cofutures::decode<std::uint64_t>(decoder);
        BlockSource* const blocks = decoder.blocks();
        if (blocks == nullptr) {
            throw_undecodable(type_name<Shared<T>>(), "no memory is shared");
        }
        const void* const type = type_name<T>().data();
        if (auto known = blocks->find_shared(id, type)) {
            return Shared<T>(std::static_pointer_cast<Content>(std::move(known)));
        }
        Decoder bytes(blocks->get_shared(id, place));
        Shared<T> shared = make(bytes);
        bytes.expect_end();
        blocks->keep_shared(id, place, type, shared.content_);
        return shared;
    }

private:
    using Content = typename Shared<T>::Content;

    static Shared<T> make(Decoder& decoder) {
        return Shared<T>(std::make_shared<Content>(std::in_place, cofutures::decode<T>(decoder)));
    }
};

}  // namespace detail
}  // namespace cofutures
