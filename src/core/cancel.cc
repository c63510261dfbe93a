#include "core/cancel.h"

#include <algorithm>

#include "core/time.h"

namespace gantry {

CancelToken CancelToken::with_deadline(std::int64_t deadline_ns) {
  CancelToken token;
  token.state_->deadline_ns = deadline_ns;
  return token;
}

CancelToken CancelToken::narrowed_to(std::int64_t deadline_ns) const {
  CancelToken token;
  const std::int64_t own = state_->deadline_ns;
  token.state_->deadline_ns = own == 0 ? deadline_ns : std::min(own, deadline_ns);
  token.state_->parent = state_;
  return token;
}

bool CancelToken::is_expired() const {
  return state_->deadline_ns != 0 && monotonic_ns() >= state_->deadline_ns;
}

Result<void> CancelToken::check() const {
  if (is_cancelled()) return fail(Code::Cancelled, "the request was cancelled");
  if (is_expired()) return fail(Code::DeadlineExceeded, "the time limit passed");
  return {};
}

}  // namespace gantry
