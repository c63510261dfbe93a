#include "codec/testing/metric_family_decoder.h"

#include <gtest/gtest.h>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>

namespace gantry::codec::testing {

namespace {

using protozero::pbf_reader;

telemetry::Label decode_label(pbf_reader message) {
  telemetry::Label label;
  while (message.next()) {
    if (message.tag() == 1) {
      label.name = message.get_string();
    } else {
      EXPECT_EQ(message.tag(), 2U);
      label.value = message.get_string();
    }
  }
  return label;
}

telemetry::BucketSpan decode_span(pbf_reader message) {
  telemetry::BucketSpan span;
  while (message.next()) {
    if (message.tag() == 1) {
      span.offset = message.get_sint32();
    } else {
      EXPECT_EQ(message.tag(), 2U);
      span.length = message.get_uint32();
    }
  }
  return span;
}

ClassicBucket decode_bucket(pbf_reader message) {
  ClassicBucket bucket;
  while (message.next()) {
    if (message.tag() == 2) {
      bucket.upper_bound = message.get_double();
    } else if (message.tag() == 1) {
      bucket.cumulative_count = static_cast<double>(message.get_uint64());
    } else {
      EXPECT_EQ(message.tag(), 4U);
      bucket.cumulative_count = message.get_double();
    }
  }
  return bucket;
}

void decode_histogram(pbf_reader message, DecodedMetric& metric) {
  telemetry::FloatHistogram& histogram = metric.histogram;
  while (message.next()) {
    switch (message.tag()) {
      case 1:
        histogram.count = static_cast<double>(message.get_uint64());
        break;
      case 2:
        histogram.sum = message.get_double();
        break;
      case 3:
        metric.buckets.push_back(decode_bucket(message.get_message()));
        break;
      case 4:
        histogram.count = message.get_double();
        break;
      case 5:
        histogram.schema = message.get_sint32();
        break;
      case 6:
        histogram.zero_threshold = message.get_double();
        break;
      case 8:
        histogram.zero_count = message.get_double();
        break;
      case 9:
        histogram.negative_spans.push_back(decode_span(message.get_message()));
        break;
      case 11:
        for (const double count : message.get_packed_double()) {
          histogram.negative_counts.push_back(count);
        }
        break;
      case 12:
        histogram.positive_spans.push_back(decode_span(message.get_message()));
        break;
      case 14:
        for (const double count : message.get_packed_double()) {
          histogram.positive_counts.push_back(count);
        }
        break;
      default:
        ADD_FAILURE() << "field " << message.tag() << " in a histogram";
        message.skip();
    }
  }
}

DecodedMetric decode_metric(pbf_reader message) {
  DecodedMetric metric;
  while (message.next()) {
    switch (message.tag()) {
      case 1:
        metric.labels.push_back(decode_label(message.get_message()));
        break;
      case 5: {
        metric.has_untyped = true;
        pbf_reader untyped = message.get_message();
        while (untyped.next()) {
          EXPECT_EQ(untyped.tag(), 1U);
          metric.untyped = untyped.get_double();
        }
        break;
      }
      case 6:
        metric.timestamp_ms = message.get_int64();
        break;
      case 7:
        metric.has_histogram = true;
        decode_histogram(message.get_message(), metric);
        break;
      default:
        ADD_FAILURE() << "field " << message.tag() << " in a metric";
        message.skip();
    }
  }
  return metric;
}

DecodedFamily decode_family(pbf_reader message) {
  DecodedFamily family;
  while (message.next()) {
    switch (message.tag()) {
      case 1:
        family.name = message.get_string();
        break;
      case 3:
        family.type = message.get_enum();
        break;
      case 4:
        family.metrics.push_back(decode_metric(message.get_message()));
        break;
      default:
        ADD_FAILURE() << "field " << message.tag() << " in a family";
        message.skip();
    }
  }
  return family;
}

}  // namespace

std::vector<DecodedFamily> decode_metric_families(std::string_view bytes) {
  std::vector<DecodedFamily> families;
  const char* position = bytes.data();
  const char* const end = position + bytes.size();
  while (position != end) {
    const std::uint64_t size = protozero::decode_varint(&position, end);
    if (size > static_cast<std::uint64_t>(end - position)) {
      ADD_FAILURE() << "a family of " << size << " bytes with only " << end - position << " left";
      return families;
    }
    families.push_back(decode_family(pbf_reader(position, size)));
    position += size;
  }
  return families;
}

}  // namespace gantry::codec::testing
