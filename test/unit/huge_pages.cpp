#include <cofutures/detail/huge_pages.hpp>

#include <cofutures/codec.hpp>
#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE huge_pages
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace cofutures::detail;

namespace {

using Numbers = std::vector<std::uint32_t>;

Numbers counting(std::size_t count) {
    Numbers values(count);
    std::iota(values.begin(), values.end(), 1U);
    return values;
}

// Whether the memory map of this process says of an address that huge pages are wanted there.
bool wants_huge_pages(const void* address) {
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream maps("/proc/self/smaps");
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        if (words >> std::hex >> begin >> dash >> end && dash == '-') {
            here = begin <= wanted && wanted < end;
        } else if (here && line.starts_with("VmFlags:")) {
            return line.find(" hg") != std::string::npos;
        }
    }
    return false;
}

const std::byte* middle(const Numbers& values) {
    return std::as_bytes(std::span(values)).data() +
           values.size() * sizeof(Numbers::value_type) / 2;
}

boost::test_tools::assertion_result system_has_them(boost::unit_test::test_unit_id /*case*/) {
    boost::test_tools::assertion_result result =
        std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good();
    result.message() << "this system has no transparent huge pages";
    return result;
}

constexpr std::size_t large = 2 * smallest_in_huge_pages / sizeof(Numbers::value_type);

}  // namespace

BOOST_AUTO_TEST_SUITE(huge_pages)

BOOST_AUTO_TEST_CASE(containers_of_every_size_hold_what_the_range_gives) {
    const std::size_t limit = smallest_in_huge_pages / sizeof(Numbers::value_type);
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, limit - 1, limit, limit + 1}) {
        const Numbers source = counting(count);
        BOOST_TEST((make_flat<Numbers>(source.begin(), count) == source), count << " elements");
    }
    const std::string text(smallest_in_huge_pages + 3, 'x');
    BOOST_TEST((make_flat<std::string>(text.data(), text.size()) == text));
}

BOOST_AUTO_TEST_CASE(
    a_large_container_that_is_decoded_lies_in_huge_pages,
    *boost::unit_test::precondition(system_has_them)
) {
    const Numbers source = counting(large);
    std::vector<std::byte> bytes(3);  // so that the elements are not aligned in it
    Encoder encoder(bytes);
    encode(encoder, source);
    Decoder decoder(std::span<const std::byte>(bytes).subspan(3));
    const auto decoded = decode<Numbers>(decoder);
    BOOST_TEST((decoded == source));
    BOOST_TEST(wants_huge_pages(middle(decoded)));
    BOOST_TEST(!wants_huge_pages(middle(source)));
}

BOOST_AUTO_TEST_CASE(
    a_large_argument_that_is_copied_is_copied_into_huge_pages,
    *boost::unit_test::precondition(system_has_them)
) {
    const Numbers source = counting(large);
    const Numbers copy = to_store<const Numbers&>(source);
    BOOST_TEST((copy == source));
    BOOST_TEST(wants_huge_pages(middle(copy)));
}

BOOST_AUTO_TEST_CASE(an_argument_that_may_be_moved_is_not_copied) {
    Numbers source = counting(large);
    const auto* const elements = source.data();
    const Numbers moved = to_store<Numbers>(source);
    BOOST_TEST(moved.data() == elements);
}

BOOST_AUTO_TEST_CASE(ranges_without_a_whole_huge_page_are_left_alone) {
    prefer_huge_pages(nullptr, 0);
    const std::string text(smallest_in_huge_pages / 4, 'x');
    prefer_huge_pages(text.data(), text.size());
    BOOST_TEST(text.find_first_not_of('x') == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
