// OTLP traces in JSON: conversion, then what becomes of the protobuf.

#include <cstddef>
#include <cstdint>
#include <string>

#include "codec/compression.h"
#include "codec/otlp_traces.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  std::string body;
  body.reserve(size + codec::kBodyPaddingBytes);
  body.assign(reinterpret_cast<const char*>(data), size);
  static codec::OtlpTracesDecoder decoder;
  static_cast<void>(decoder.decode_json(body, {}));
  return 0;
}
