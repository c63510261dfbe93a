#include "promql/eval/matrix.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql::eval {
namespace {

Matrix make(Budget& budget, std::vector<LabelSetId> labels, std::vector<std::uint64_t> bits,
            std::size_t steps) {
  Matrix matrix = *make_matrix(budget, labels.size(), steps);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    matrix.rows.bits(row)[0] = bits[row];
    for (std::size_t step = 0; step < steps; ++step) {
      matrix.rows.row(row)[step] = static_cast<double>((row * 10) + step);
    }
  }
  matrix.labels = std::move(labels);
  return matrix;
}

TEST(Budget, RefusesWhatDoesNotFitAndTakesNothing) {
  Budget budget(10, 1000);
  {
    Reservation reservation(budget);
    EXPECT_TRUE(reservation.grow(8, 900));
    EXPECT_EQ(reservation.grow(3, 0).error().code, Code::ResourceExhausted);
    EXPECT_EQ(reservation.grow(0, 101).error().code, Code::ResourceExhausted);
    EXPECT_TRUE(reservation.grow(2, 100));
    Reservation moved(std::move(reservation));
  }
  EXPECT_EQ(budget.samples_peak(), 10U);
  Reservation again(budget);
  EXPECT_TRUE(again.grow(10, 1000));
}

TEST(Matrix, LeavesOutEmptyRows) {
  Budget budget(1000, 1 << 20);
  Matrix matrix = make(budget, {5, 6, 7}, {0b01, 0, 0b10}, 2);
  remove_empty_rows(matrix);
  ASSERT_EQ(matrix.count(), 2U);
  EXPECT_EQ(matrix.labels, (std::vector<LabelSetId>{5, 7}));
  EXPECT_EQ(matrix.rows.row(1)[1], 21);
  EXPECT_EQ(matrix.rows.bits(1)[0], 0b10U);
}

TEST(Matrix, MergesRowsThatTakeTurns) {
  Budget budget(1000, 1 << 20);
  Matrix matrix = make(budget, {5, 6, 5}, {0b001, 0b111, 0b110}, 3);
  ASSERT_TRUE(merge_equal_rows(matrix));
  ASSERT_EQ(matrix.count(), 2U);
  EXPECT_EQ(matrix.rows.bits(0)[0], 0b111U);
  EXPECT_EQ(matrix.rows.row(0)[0], 0);
  EXPECT_EQ(matrix.rows.row(0)[2], 22);
}

TEST(Matrix, DropsTheNameIfTheRowThatBeginsFirstDoes) {
  Budget budget(1000, 1 << 20);
  for (const bool begins_first : {false, true}) {
    Matrix matrix = make(budget, {5, 6, 5}, {0b010, 0b111, begins_first ? 0b001U : 0b100U}, 3);
    matrix.drops_name[2] = 1;
    ASSERT_TRUE(merge_equal_rows(matrix));
    EXPECT_EQ(matrix.drops_name[0] != 0, begins_first);
    EXPECT_EQ(matrix.drops_name[1], 0);
  }
}

TEST(Matrix, RefusesRowsThatMeet) {
  Budget budget(1000, 1 << 20);
  Matrix floats = make(budget, {5, 5}, {0b011, 0b110}, 3);
  EXPECT_EQ(merge_equal_rows(floats).error().message,
            "vector cannot contain metrics with the same labelset");
  Matrix mixed = make(budget, {5, 5}, {0b001, 0}, 3);
  mixed.rows.set_histogram(1, 0, std::make_shared<const telemetry::FloatHistogram>());
  EXPECT_FALSE(merge_equal_rows(mixed));
}

TEST(Matrix, BroadcastRepeatsTheOneStep) {
  Budget budget(1000, 1 << 20);
  Matrix once = make(budget, {5, 6}, {1, 0}, 1);
  once.rows.set_histogram(1, 0, std::make_shared<const telemetry::FloatHistogram>());
  const Result<Matrix> wide = broadcast(budget, std::move(once), 70);
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->rows.bits(0)[0], ~std::uint64_t{0});
  EXPECT_EQ(wide->rows.bits(0)[1], 0b111111U);
  EXPECT_EQ(wide->rows.row(0)[69], 0);
  EXPECT_NE(wide->rows.histograms(1)[69], nullptr);
  EXPECT_EQ(wide->rows.bits(1)[0], 0U);
}

}  // namespace
}  // namespace gantry::promql::eval
