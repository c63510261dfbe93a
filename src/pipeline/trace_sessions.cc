#include "pipeline/trace_sessions.h"

#include <deque>
#include <map>
#include <utility>

#include "core/mutex.h"
#include "pipeline/trace_groups.h"

namespace gantry::pipeline {
namespace {

/// A session's name is what a client likes; a longer one samples by its beginning.
constexpr std::size_t kSessionBytesMax = 256;

using TraceOfStack = std::pair<StackId, telemetry::TraceId>;

}  // namespace

struct TraceSessions::Impl {
  explicit Impl(std::size_t the_traces_max) : traces_max(the_traces_max) {}

  const std::size_t traces_max;
  core::Mutex mutex;
  std::map<TraceOfStack, std::string> sessions GANTRY_GUARDED_BY(mutex);  ///< "": by its own id.
  std::deque<TraceOfStack> order GANTRY_GUARDED_BY(mutex);
};

TraceSessions::TraceSessions(std::size_t traces_max) : impl_(std::make_unique<Impl>(traces_max)) {}

TraceSessions::~TraceSessions() = default;

std::string TraceSessions::key_of(StackId stack, const telemetry::TraceId& trace,
                                  std::string_view session) {
  const core::Lock lock(impl_->mutex);
  const TraceOfStack place(stack, trace);
  const auto [found, is_new] =
      impl_->sessions.try_emplace(place, session.substr(0, kSessionBytesMax));
  const std::string key = found->second.empty() ? trace_id_hex(trace) : found->second;
  if (!is_new) return key;
  impl_->order.push_back(place);
  if (impl_->order.size() > impl_->traces_max) {
    impl_->sessions.erase(impl_->order.front());
    impl_->order.pop_front();
  }
  return key;
}

}  // namespace gantry::pipeline
