#include <cofutures/is_move_only.hpp>

#define BOOST_TEST_MODULE is_move_only
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/is_copyable.hpp>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using namespace cofutures;
using detail::is_copyable;

namespace {

using Owners = std::vector<std::unique_ptr<int>>;

struct Batch {
    Owners owners;
};

struct Tree : std::map<std::string, Tree> {
    using map::map;
};

struct Node {
    std::vector<std::pair<int, Node>> children;
};

}  // namespace

template <>
inline constexpr bool cofutures::is_move_only<Batch> = true;

static_assert(is_copyable<int> && is_copyable<std::string> && is_copyable<std::vector<bool>>);
static_assert(is_copyable<std::pair<int&, const std::string>> && is_copyable<std::tuple<>>);
static_assert(is_copyable<std::shared_ptr<Owners>>);
static_assert(is_copyable<Tree> && is_copyable<Node> && is_copyable<std::variant<int, Tree>>);
static_assert(!is_copyable<std::unique_ptr<int>> && !is_copyable<std::array<Owners, 2>>);

BOOST_AUTO_TEST_SUITE(is_move_only)

BOOST_AUTO_TEST_CASE(what_only_claims_to_be_copyable_is_moved) {
    const auto check = [](auto value) {
        using Value = decltype(value);
        Promise<Value> promise;
        auto future = promise.get_future();
        const auto other = future;
        promise.set_result(std::move(value));
        const Value taken = future.then([](Value given) { return given; }).result();
        BOOST_CHECK_THROW(other.result(), InvalidStateError);
        BOOST_CHECK_THROW(std::move(future).result(), InvalidStateError);
    };
    check(Owners());
    check(std::pair<int, Owners>());
    check(std::map<int, Owners>());
    check(std::tuple<int, std::optional<Owners>>());
    check(std::variant<int, Owners>());
    check(Batch());
    check(std::vector<Batch>());
}

BOOST_AUTO_TEST_CASE(what_consists_of_its_like_is_copied) {
    Promise<Tree> promise;
    auto future = promise.get_future();
    const auto other = future;
    promise.set_result(Tree{{"a", Tree()}});
    BOOST_TEST(std::move(future).result().size() == 1U);
    BOOST_TEST(other.result().size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
