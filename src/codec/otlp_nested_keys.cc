#include "codec/otlp_nested_keys.h"

#include <string>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_fields.h"
#include "codec/otlp_values.h"

namespace gantry::codec {
namespace {

using protozero::pbf_message;
using protozero::pbf_wire_type;

class NestedKeys {
 public:
  NestedKeys(std::string_view name, NestedKeyTest test) : path_(name), test_(test) {}

  /// Throws protozero's exceptions.
  bool any_in_value(std::string_view any_value, int depth) {
    if (depth > kValueDepthMax) {
      is_too_deep_ = true;
      return true;
    }
    pbf_message<otlp::AnyValue> message(any_value);
    while (message.next()) {
      const auto tag = message.tag_and_type();
      if (tag == tag_and_type(otlp::AnyValue::ArrayValue, pbf_wire_type::length_delimited)) {
        if (any_in_list(message.get_view(), depth, &NestedKeys::any_in_value)) return true;
      } else if (tag ==
                 tag_and_type(otlp::AnyValue::KvlistValue, pbf_wire_type::length_delimited)) {
        if (any_in_list(message.get_view(), depth, &NestedKeys::any_in_key_value)) return true;
      } else {
        message.skip();
      }
    }
    return false;
  }

  [[nodiscard]] bool is_too_deep() const { return is_too_deep_; }

 private:
  bool any_in_list(std::string_view list, int depth,
                   bool (NestedKeys::*any)(std::string_view, int)) {
    pbf_message<otlp::ValueList> message(list);
    while (message.next()) {
      if (message.tag_and_type() ==
          tag_and_type(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
        if ((this->*any)(message.get_view(), depth + 1)) return true;
      } else {
        message.skip();
      }
    }
    return false;
  }

  bool any_in_key_value(std::string_view key_value, int depth) {
    const OtlpAttribute attribute = read_attribute(key_value);
    const std::size_t outer = path_.size();
    path_.append(".").append(attribute.key);
    const bool found = test_(path_, attribute.key) || any_in_value(attribute.value, depth);
    path_.resize(outer);
    return found;
  }

  std::string path_;
  NestedKeyTest test_;
  bool is_too_deep_ = false;
};

}  // namespace

Result<bool> has_nested_key(std::string_view any_value, std::string_view name, NestedKeyTest test) {
  NestedKeys keys(name, test);
  try {
    const bool found = keys.any_in_value(any_value, 0);
    if (keys.is_too_deep())
      return fail(Code::InvalidArgument,
                  fmt::format("an attribute value is nested deeper than {}", kValueDepthMax));
    return found;
  } catch (const protozero::exception& e) {
    return fail(Code::InvalidArgument, fmt::format("not an attribute value: {}", e.what()));
  }
}

}  // namespace gantry::codec
