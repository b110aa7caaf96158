#include <cofutures/boost_serialization.hpp>

#define BOOST_TEST_MODULE boost_serialization
#define BOOST_TEST_NO_MAIN
#include <cofutures/process_pool_executor.hpp>

#include "support/gate.hpp"

#include <boost/optional.hpp>
#include <boost/serialization/map.hpp>
#include <boost/serialization/optional.hpp>
#include <boost/serialization/shared_ptr.hpp>
#include <boost/serialization/split_free.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace cofutures;

namespace app {

/// Private member, private default constructor.
class Money {
public:
    explicit Money(long cents) : cents_(cents) {}
    [[nodiscard]] long cents() const { return cents_; }

private:
    friend class boost::serialization::access;
    Money() = default;
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& cents_;
    }
    long cents_ = 0;
};

/// Split members.
class Name {
public:
    Name() = default;
    explicit Name(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const std::string& text() const { return text_; }

    template <class Archive>
    void save(Archive& archive, unsigned /*version*/) const {
        archive << text_;
    }
    template <class Archive>
    void load(Archive& archive, unsigned /*version*/) {
        archive >> text_;
    }
    BOOST_SERIALIZATION_SPLIT_MEMBER()

private:
    std::string text_;
};

/// A free function in its own namespace.
class Point {
public:
    Point() = default;
    Point(int x, int y) : x_(x), y_(y) {}
    int x_ = 0;

    template <class Archive>
    friend void serialize(Archive& archive, Point& point, unsigned /*version*/) {
        archive& point.x_;
        archive& point.y_;
    }
    [[nodiscard]] int y() const { return y_; }

private:
    int y_ = 0;
};

/// A free function in the library's namespace, below.
class Range {
public:
    Range() = default;
    Range(int first, int last) : from(first), to(last) {}
    int from = 0;
    int to = 0;
};

/// Split free functions, below.
class Label {
public:
    Label() = default;
    explicit Label(std::string words) : text(std::move(words)) {}
    std::string text;
};

/// Public member, which a final class needs.
class Last final {
public:
    Last() = default;
    explicit Last(int value) : value_(value) {}
    [[nodiscard]] int value() const { return value_; }
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& value_;
    }

private:
    int value_ = 0;
};

/// An aggregate that cannot be taken apart: it has a C array.
struct Grid {
    int cells[4];  // NOLINT
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& cells;
    }
};

/// An aggregate whose members are no business of the codec's.
struct Node {
    std::string name;
    Node* next;
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& name;
        archive& next;
    }
};

/// An aggregate that needs no archive; its function would lose a member.
struct Plain {
    int kept;
    int lost;
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& kept;
    }
};

/// A template.
template <class T>
class Box {
public:
    Box() = default;
    explicit Box(T content) : value(std::move(content)) {}
    T value{};

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive& value;
    }
};

/// Has a codec of its own, too.
class Both {
public:
    Both() = default;
    explicit Both(int number) : value(number) {}
    int value = 0;
    template <class Archive>
    void serialize(Archive& /*archive*/, unsigned /*version*/) {
        throw std::logic_error("the wrong codec");
    }
};

class Stranger {
public:
    explicit Stranger(int value) : value_(value) {}

private:
    [[maybe_unused]] int value_;
};

}  // namespace app

namespace boost::serialization {

template <class Archive>
void serialize(Archive& archive, app::Range& range, unsigned /*version*/) {
    archive& range.from;
    archive& range.to;
}
template <class Archive>
void save(Archive& archive, const app::Label& label, unsigned /*version*/) {
    archive << label.text;
}
template <class Archive>
void load(Archive& archive, app::Label& label, unsigned /*version*/) {
    archive >> label.text;
}

}  // namespace boost::serialization
BOOST_SERIALIZATION_SPLIT_FREE(app::Label)

template <>
struct cofutures::Codec<app::Both> {
    static void encode(Encoder& encoder, const app::Both& value) {
        cofutures::encode(encoder, value.value);
    }
    static app::Both decode(Decoder& decoder) { return app::Both(cofutures::decode<int>(decoder)); }
};

namespace {

template <class T>
std::vector<std::byte> encoded(const T& value) {
    std::vector<std::byte> bytes;
    Encoder encoder(bytes);
    encode(encoder, value);
    return bytes;
}

template <class T>
T there_and_back(const T& value) {
    const auto bytes = encoded(value);
    Decoder decoder(bytes);
    T back = decode<T>(decoder);
    decoder.expect_end();
    return back;
}

app::Money twice(const app::Money& money) {
    return app::Money(2 * money.cents());
}

}  // namespace

int main(int argc, char** argv) {
    freeze_support(argc, argv);
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}

BOOST_AUTO_TEST_SUITE(boost_serialization)

BOOST_AUTO_TEST_CASE(members_serialize) {
    BOOST_TEST(there_and_back(app::Money(150)).cents() == 150);
    BOOST_TEST(there_and_back(app::Name("name")).text() == "name");
    BOOST_TEST(there_and_back(app::Last(3)).value() == 3);
    BOOST_TEST(there_and_back(app::Box<std::string>("x")).value == "x");
}

BOOST_AUTO_TEST_CASE(free_functions_serialize) {
    const app::Point point = there_and_back(app::Point(1, 2));
    BOOST_TEST(point.x_ == 1);
    BOOST_TEST(point.y() == 2);
    BOOST_TEST(there_and_back(app::Range(3, 4)).to == 4);
    BOOST_TEST(there_and_back(app::Label("label")).text == "label");
    BOOST_TEST((there_and_back(boost::optional<int>(5)) == boost::optional<int>(5)));
}

BOOST_AUTO_TEST_CASE(aggregates_that_cannot_be_taken_apart_serialize) {
    BOOST_TEST(there_and_back(app::Grid{{1, 2, 3, 4}}).cells[3] == 4);
    app::Node last{"last", nullptr};
    const app::Node back = there_and_back(app::Node{"first", &last});
    const std::unique_ptr<app::Node> next(back.next);
    BOOST_REQUIRE(next);
    BOOST_TEST(next->name == "last");
}

BOOST_AUTO_TEST_CASE(other_codecs_come_first) {
    const app::Plain plain = there_and_back(app::Plain{1, 2});
    BOOST_TEST(plain.lost == 2);
    BOOST_TEST(encoded(plain).size() == 2 * sizeof(int));
    BOOST_TEST(there_and_back(app::Both(7)).value == 7);
    BOOST_TEST((there_and_back(std::vector<int>{1, 2}) == std::vector<int>{1, 2}));
    BOOST_TEST(encoded(std::string("abc")).size() == 11U);
    BOOST_TEST(there_and_back(std::filesystem::path("/a")).string() == "/a");
}

BOOST_AUTO_TEST_CASE(such_types_may_be_anywhere_inside_others) {
    const std::vector<std::pair<app::Money, std::optional<app::Name>>> values{
        {app::Money(1), app::Name("one")}, {app::Money(2), std::nullopt}};
    const auto back = there_and_back(values);
    BOOST_TEST(back.at(0).second->text() == "one");
    BOOST_TEST(back.at(1).first.cents() == 2);
}

BOOST_AUTO_TEST_CASE(what_has_no_function_has_no_codec) {
    static_assert(Encodable<app::Money>);
    static_assert(Encodable<app::Label>);
    static_assert(!Encodable<app::Stranger>);
    static_assert(!Encodable<std::vector<app::Stranger>>);
    static_assert(!Encodable<int*>);
    BOOST_TEST(true);
}

BOOST_AUTO_TEST_CASE(what_is_no_archive_is_an_error_that_names_the_type) {
    const auto bytes = encoded(app::Name("some name"));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        Decoder decoder(std::span<const std::byte>(bytes).first(size));
        try {
            static_cast<void>(decode<app::Name>(decoder));
            BOOST_ERROR("decoded from " << size << " bytes");
        } catch (const SerializationError& error) {
            if (size >= 8) {
                BOOST_TEST(std::string(error.what()).find("app::Name") != std::string::npos);
            }
        }
    }
    // The archive itself cut short, and one with more than it should hold.
    for (const int change : {-1, 1}) {
        auto wrong = bytes;
        wrong[0] = static_cast<std::byte>(std::to_integer<int>(wrong[0]) + change);
        wrong.resize(wrong.size() + static_cast<std::size_t>(change + 1) / 2);
        Decoder decoder(wrong);
        BOOST_CHECK_THROW(static_cast<void>(decode<app::Name>(decoder)), SerializationError);
    }
}

BOOST_AUTO_TEST_CASE(a_process_pool_sends_such_types) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(twice, app::Money(150)).result(test::generous).cents() == 300);
    const std::vector<app::Money> prices{app::Money(1), app::Money(2)};
    long sum = 0;
    for (const app::Money& price : pool.map(twice, prices)) {
        sum += price.cents();
    }
    BOOST_TEST(sum == 6);
}

BOOST_AUTO_TEST_SUITE_END()
