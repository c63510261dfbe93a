#pragma once

#include <protozero/types.hpp>

namespace gantry::codec {

/// The number of a field, from the enumeration of its message.
template <class Field>
constexpr protozero::pbf_tag_type tag(Field field) {
  return static_cast<protozero::pbf_tag_type>(field);
}

}  // namespace gantry::codec
