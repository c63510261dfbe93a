#include "codec/message_builder.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <protozero/pbf_builder.hpp>

namespace gantry::codec {
namespace {

enum class Outer : std::uint32_t { Text = 1, Number = 2, Inner = 300 };
enum class Inner : std::uint32_t { Real = 1, Signed = 2, Flag = 3, Deeper = 4 };

TEST(MessageBuilder, WritesWhatProtozeroWrites) {
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 35,
        std::numeric_limits<std::uint64_t>::max()}) {
    std::string bytes;
    {
      MessageBuilder<Outer> outer(bytes);
      outer.add_string(Outer::Text, "żółw");
      {
        MessageBuilder<Inner> inner(outer, Outer::Inner);
        inner.add_double(Inner::Real, -0.5);
        inner.add_int64(Inner::Signed, -7);
        inner.add_bool(Inner::Flag, true);
        const MessageBuilder<Outer> empty(inner, Inner::Deeper);
      }
      outer.add_uint64(Outer::Number, number);
    }
    std::string expected;
    {
      protozero::pbf_builder<Outer> outer(expected);
      outer.add_string(Outer::Text, "żółw");
      {
        protozero::pbf_builder<Inner> inner(outer, Outer::Inner);
        inner.add_double(Inner::Real, -0.5);
        inner.add_int64(Inner::Signed, -7);
        inner.add_bool(Inner::Flag, true);
        inner.add_string(Inner::Deeper, "");
      }
      outer.add_uint64(Outer::Number, number);
    }
    EXPECT_EQ(bytes, expected) << number;
  }
}

}  // namespace
}  // namespace gantry::codec
