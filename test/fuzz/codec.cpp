#include <cofutures/codec.hpp>

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

using namespace cofutures;

enum class Colour : std::uint8_t { red, green };

struct Empty {};

struct Tree {
    int value;
    std::vector<Tree> children;
};

struct Record {
    std::string name;
    std::optional<Colour> colour;
    std::vector<bool> bits;
    std::array<std::uint16_t, 3> numbers;
    std::unique_ptr<Record> next;
    Empty nothing;
};

using Flat = std::tuple<std::bitset<11>, double, long double, std::complex<float>, bool>;
using Choice = std::variant<std::monostate, std::string, std::vector<double>, Tree>;
using Lists = std::tuple<
    std::vector<std::string>,
    std::forward_list<std::wstring>,
    std::vector<Empty>,
    std::vector<std::byte>,
    std::filesystem::path>;
using Tables = std::tuple<std::map<std::string, int>, std::multiset<int>>;
using Mixed = std::tuple<
    std::deque<std::string>,
    std::list<std::optional<std::int32_t>>,
    std::u8string,
    std::shared_ptr<std::string>,
    std::multimap<std::int32_t, std::pair<char, double>>,
    std::chrono::system_clock::time_point,
    std::array<Colour, 2>>;
using Hashed = std::unordered_map<std::string, std::chrono::nanoseconds>;

/// Whatever the bytes: no value, or one whose encoding is a value with the same encoding again.
template <class T>
void check(std::span<const std::byte> input) {
    std::vector<std::byte> first;
    try {
        Decoder decoder(input);
        const T value = decode<T>(decoder);
        Encoder encoder(first);
        encode(encoder, value);
    } catch (const SerializationError&) {
        return;
    }
    std::vector<std::byte> second;
    Decoder decoder(first);
    const T value = decode<T>(decoder);
    decoder.expect_end();
    Encoder encoder(second);
    encode(encoder, value);
    // The order in a hash table is not fixed, only what it holds.
    const bool same = std::is_same_v<T, Hashed> ? first.size() == second.size() : first == second;
    if (!same) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const auto input = std::as_bytes(std::span(data, size)).subspan(1);
    switch (data[0] % 8) {
    case 0:
        check<Record>(input);
        break;
    case 1:
        check<Tree>(input);
        break;
    case 2:
        check<Flat>(input);
        break;
    case 3:
        check<Choice>(input);
        break;
    case 4:
        check<Lists>(input);
        break;
    case 5:
        check<Tables>(input);
        break;
    case 6:
        check<Mixed>(input);
        break;
    default:
        check<Hashed>(input);
        break;
    }
    return 0;
}
