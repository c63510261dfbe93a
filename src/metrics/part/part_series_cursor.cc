#include "metrics/part/part_series_cursor.h"

#include <string_view>
#include <utility>
#include <vector>

#include "fmt/core.h"

#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

class FrameSeriesCursor final : public PartSeriesCursor {
 public:
  FrameSeriesCursor(const storage::Path& directory, const storage::FrameReader& index,
                    const PartFooter& footer, std::atomic<bool>& is_damaged)
      : directory_(directory), index_(index), footer_(footer), is_damaged_(is_damaged) {}

  Result<void> load_symbols();
  Result<bool> next() override;

  std::uint32_t ordinal() const override { return next_ordinal_ - 1; }

  std::span<const telemetry::LabelView> labels() const override { return labels_; }

  std::span<const PartLabel> label_symbols() const override { return label_symbols_; }

  std::span<const std::string_view> symbols() const override { return symbols_; }

 private:
  Result<std::vector<std::byte>> load(std::uint32_t frame) const {
    auto bytes = index_.read(frame);
    if (!bytes && bytes.error().code == Code::DataLoss) is_damaged_.store(true);
    return bytes;
  }

  std::unexpected<Error> damaged(std::string_view what) const {
    is_damaged_.store(true);
    return fail(Code::DataLoss, fmt::format("part \"{}\": {}", directory_.native(), what));
  }

  const storage::Path& directory_;
  const storage::FrameReader& index_;
  const PartFooter& footer_;
  std::atomic<bool>& is_damaged_;

  std::vector<std::vector<std::byte>> symbol_frames_;  ///< What the symbols are views of.
  std::vector<std::string_view> symbols_;

  std::size_t next_group_ = 0;
  std::uint32_t next_ordinal_ = 0;
  std::uint32_t left_in_group_ = 0;
  std::vector<std::byte> label_frame_;
  storage::ByteReader reader_{{}};
  std::vector<PartLabel> label_symbols_;
  std::vector<telemetry::LabelView> labels_;
  std::vector<telemetry::LabelView> previous_labels_;
};

Result<void> FrameSeriesCursor::load_symbols() {
  symbol_frames_.reserve(footer_.symbols.size());
  for (const SymbolGroup& group : footer_.symbols) {
    GANTRY_TRY(std::vector<std::byte> bytes, load(group.frame));
    symbol_frames_.push_back(std::move(bytes));
    storage::ByteReader reader(symbol_frames_.back());
    for (std::uint32_t i = 0; i < group.symbol_count && !reader.failed(); ++i) {
      symbols_.push_back(reader.string());
    }
    if (!reader.at_end()) return damaged("a symbol table is not one");
  }
  return {};
}

Result<bool> FrameSeriesCursor::next() {
  if (left_in_group_ == 0) {
    if (next_group_ == footer_.series.size()) return false;
    const SeriesGroup& group = footer_.series[next_group_++];
    GANTRY_TRY(label_frame_, load(group.label_frame));
    reader_ = storage::ByteReader(label_frame_);
    left_in_group_ = group.series_count;
  }
  std::swap(labels_, previous_labels_);
  const std::size_t count = reader_.count(2);
  label_symbols_.resize(count);
  labels_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t name = reader_.varint();
    const std::uint64_t value = reader_.varint();
    if (reader_.failed() || name >= symbols_.size() || value >= symbols_.size()) {
      return damaged("a label is no symbol");
    }
    label_symbols_[i] = {.name = static_cast<std::uint32_t>(name),
                         .value = static_cast<std::uint32_t>(value)};
    labels_[i] = {.name = symbols_[name], .value = symbols_[value]};
    if (i > 0 && labels_[i - 1].name >= labels_[i].name) return damaged("labels are not sorted");
  }
  --left_in_group_;
  ++next_ordinal_;
  if (reader_.failed() || (left_in_group_ == 0 && !reader_.at_end())) {
    return damaged("a label list is not one");
  }
  // As the writer has asserted.
  if (next_ordinal_ > 1 && compare_series(previous_labels_, labels_) >= 0) {
    return damaged("series are not in the order of their labels");
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<PartSeriesCursor>> open_series_cursor(const storage::Path& directory,
                                                             const storage::FrameReader& index,
                                                             const PartFooter& footer,
                                                             std::atomic<bool>& is_damaged) {
  auto cursor = std::make_unique<FrameSeriesCursor>(directory, index, footer, is_damaged);
  GANTRY_CHECK(cursor->load_symbols());
  return cursor;
}

}  // namespace gantry::metrics
