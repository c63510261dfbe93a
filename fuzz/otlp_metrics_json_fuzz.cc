// OTLP metrics in JSON: conversion, then what becomes of the protobuf.

#include <cstddef>
#include <cstdint>
#include <string>

#include "codec/compression.h"
#include "codec/otlp_metrics.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  std::string body;
  body.reserve(size + codec::kBodyPaddingBytes);
  body.assign(reinterpret_cast<const char*>(data), size);
  static codec::OtlpMetricsDecoder decoder;
  static const codec::OtlpOptions options{.now_ms = 1'700'000'000'000};
  static_cast<void>(decoder.decode_json(body, options));
  return 0;
}
