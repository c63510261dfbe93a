#include "metrics/part/frame_cache.h"

#include <utility>

namespace gantry::metrics {
namespace {

class CachedFrame final : public storage::CacheItem {
 public:
  explicit CachedFrame(std::shared_ptr<const Frame> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::size_t memory_bytes() const override { return bytes_->size(); }

  [[nodiscard]] const std::shared_ptr<const Frame>& bytes() const { return bytes_; }

 private:
  std::shared_ptr<const Frame> bytes_;
};

}  // namespace

std::shared_ptr<const Frame> FrameCache::find(std::uint64_t owner, std::uint32_t frame) {
  const auto item = items_.find(owner, frame);
  return item ? static_cast<const CachedFrame&>(*item).bytes() : nullptr;
}

void FrameCache::insert(std::uint64_t owner, std::uint32_t frame,
                        std::shared_ptr<const Frame> bytes) {
  items_.insert(owner, frame, std::make_shared<CachedFrame>(std::move(bytes)));
}

}  // namespace gantry::metrics
