#include "promql/eval/group_accumulator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/kernels/sum.h"

namespace gantry::promql::eval {
namespace {

constexpr AggregateOp kOps[] = {AggregateOp::Sum,    AggregateOp::Avg,   AggregateOp::Count,
                                AggregateOp::Min,    AggregateOp::Max,   AggregateOp::Group,
                                AggregateOp::Stddev, AggregateOp::Stdvar};

std::string_view no_name(std::uint32_t /*row*/) {
  return "";
}

struct Row {
  std::vector<double> values;
  std::vector<std::uint64_t> bits;
};

Row make_row(std::size_t steps, int density) {
  Row row{.values = std::vector<double>(steps),
          .bits = std::vector<std::uint64_t>(kernels::bitmap_words(steps))};
  for (std::size_t step = 0; step < steps; ++step) {
    const int kind = *rc::gen::inRange(0, 100);
    row.values[step] = static_cast<double>(*rc::gen::inRange(-1000, 1000)) / 7;
    if (kind == 0) row.values[step] = std::nan("");
    if (kind == 1) row.values[step] = 1e300;
    if (*rc::gen::inRange(0, 100) < density) kernels::set_bit(row.bits, step);
  }
  return row;
}

/// One step's values by the definitions.
std::optional<double> plain(AggregateOp op, const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  kernels::NeumaierSum sum;
  kernels::Mean mean;
  kernels::Variance variance;
  double least = std::nan("");
  double most = std::nan("");
  sum.sum = values[0];
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) sum.add(values[i]);
    mean.add(values[i]);
    variance.add(values[i]);
    if (values[i] < least || std::isnan(least)) least = values[i];
    if (values[i] > most || std::isnan(most)) most = values[i];
  }
  switch (op) {
    case AggregateOp::Sum:
      return sum.result();
    case AggregateOp::Avg:
      return mean.result();
    case AggregateOp::Count:
      return static_cast<double>(values.size());
    case AggregateOp::Min:
      return least;
    case AggregateOp::Max:
      return most;
    case AggregateOp::Group:
      return 1;
    case AggregateOp::Stdvar:
      return variance.result();
    default:
      return std::sqrt(variance.result());
  }
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

RC_GTEST_PROP(GroupAccumulator, FoldingEqualsTheDefinitionToTheBit, ()) {
  const AggregateOp op = *rc::gen::elementOf(std::vector(std::begin(kOps), std::end(kOps)));
  const auto steps = *rc::gen::inRange<std::size_t>(1, 140);
  const auto rows = *rc::gen::inRange<std::size_t>(1, 6);
  const int density = *rc::gen::element(100, 100, 60, 5);
  GroupAccumulator accumulator(op, 2, steps);
  std::vector<std::vector<double>> columns(steps);
  for (std::size_t i = 0; i < rows; ++i) {
    const Row row = make_row(steps, density);
    accumulator.fold(1, 0, row.values, row.bits, {});
    for_each_bit(row.bits, [&](std::size_t step) { columns[step].push_back(row.values[step]); });
  }
  Rows out(2, steps);
  AnnotationSet annotations;
  accumulator.finish(out.view(), annotations, {}, no_name);
  RC_ASSERT(out.is_empty(0));
  for (std::size_t step = 0; step < steps; ++step) {
    const std::optional<double> expected = plain(op, columns[step]);
    RC_ASSERT(kernels::test_bit(out.bits(1), step) == expected.has_value());
    if (expected) RC_ASSERT(same(out.row(1)[step], *expected));
  }
}

RC_GTEST_PROP(GroupAccumulator, MergedPartsAreCloseToTheWhole, ()) {
  const AggregateOp op = *rc::gen::elementOf(std::vector(std::begin(kOps), std::end(kOps)));
  const auto steps = *rc::gen::inRange<std::size_t>(1, 140);
  const int density = *rc::gen::element(100, 50);
  GroupAccumulator whole(op, 1, steps);
  GroupAccumulator merged(op, 1, steps);
  for (int part = 0; part < 3; ++part) {
    GroupAccumulator partial(op, 1, steps);
    for (int i = 0; i < 3; ++i) {
      Row row = make_row(steps, density);
      for (double& value : row.values) {
        if (value == 1e300) value = 1e6;
      }
      whole.fold(0, 0, row.values, row.bits, {});
      partial.fold(0, 0, row.values, row.bits, {});
    }
    merged.merge(0, partial, 0);
  }
  Rows expected(1, steps);
  Rows out(1, steps);
  AnnotationSet annotations;
  whole.finish(expected.view(), annotations, {}, no_name);
  merged.finish(out.view(), annotations, {}, no_name);
  for (std::size_t step = 0; step < steps; ++step) {
    RC_ASSERT(kernels::test_bit(out.bits(0), step) == kernels::test_bit(expected.bits(0), step));
    if (!kernels::test_bit(out.bits(0), step)) continue;
    const double a = out.row(0)[step];
    const double b = expected.row(0)[step];
    RC_ASSERT((std::isnan(a) && std::isnan(b)) ||
              std::abs(a - b) <= 1e-9 * std::max({std::abs(a), std::abs(b), 1.0}));
  }
}

TEST(GroupAccumulator, MeansOfSumsThatOverflowStayFinite) {
  const double huge = std::numeric_limits<double>::max();
  const std::vector<double> values = {huge};
  const std::vector<std::uint64_t> bits = {1};
  GroupAccumulator merged(AggregateOp::Avg, 1, 1);
  for (int part = 0; part < 3; ++part) {
    GroupAccumulator partial(AggregateOp::Avg, 1, 1);
    partial.fold(0, 0, values, bits, {});
    merged.merge(0, partial, 0);
  }
  Rows out(1, 1);
  AnnotationSet annotations;
  merged.finish(out.view(), annotations, {}, no_name);
  EXPECT_NEAR(out.row(0)[0] / huge, 1, 1e-12);
}

TEST(GroupAccumulator, HistogramsAreCountedRefusedOrIgnored) {
  const HistogramRow histograms = {std::make_shared<const telemetry::FloatHistogram>()};
  const std::vector<double> values = {3};
  const std::vector<std::uint64_t> bits = {1};
  const std::vector<std::uint64_t> no_bits = {0};
  for (const AggregateOp op : {AggregateOp::Count, AggregateOp::Sum, AggregateOp::Max}) {
    GroupAccumulator accumulator(op, 1, 1);
    accumulator.fold(0, 0, values, bits, {});
    accumulator.fold(0, 0, values, no_bits, histograms);
    Rows out(1, 1);
    AnnotationSet annotations;
    accumulator.finish(out.view(), annotations, {}, no_name);
    const Annotations found = annotations.finish("x");
    if (op == AggregateOp::Count) {
      EXPECT_EQ(out.row(0)[0], 2);
      EXPECT_TRUE(found.infos.empty() && found.warnings.empty());
    } else if (op == AggregateOp::Sum) {
      EXPECT_TRUE(out.is_empty(0));
      EXPECT_EQ(found.warnings.size(), 1U);
    } else {
      EXPECT_EQ(out.row(0)[0], 3);
      EXPECT_EQ(found.infos.size(), 1U);
    }
  }
}

}  // namespace
}  // namespace gantry::promql::eval
