// expect: this type cannot cross to another process
#include <cofutures/codec.hpp>

#include <string>

namespace {

struct View {
    const std::string& text;
};

}  // namespace

void decode_view(cofutures::Decoder& decoder) {
    static_cast<void>(cofutures::decode<View>(decoder));
}
