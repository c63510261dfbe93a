#pragma once

// A receiver without a network: answers by a function of the test's, and keeps what it was sent.

#include <functional>
#include <utility>
#include <vector>

#include "broadcast/transport.h"
#include "core/mutex.h"

namespace gantry::broadcast::testing {

using TransportResult = std::expected<ExportAnswer, TransportFailure>;

inline ExportAnswer answer_with(int status, std::string body = "") {
  return {.status = status, .body = std::move(body)};
}

class FakeTransport final : public Transport {
 public:
  using Answer =
      std::function<TransportResult(const ExportRequest&, DurationMs, const CancelToken&)>;

  explicit FakeTransport(Answer answer) : answer_(std::move(answer)) {}

  TransportResult send(const ExportRequest& request, DurationMs timeout,
                       const CancelToken& cancel) override {
    {
      core::Lock lock(mutex_);
      requests_.push_back(request);
      timeouts_.push_back(timeout);
    }
    return answer_(request, timeout, cancel);
  }

  [[nodiscard]] std::vector<ExportRequest> requests() const {
    core::Lock lock(mutex_);
    return requests_;
  }

  [[nodiscard]] std::vector<DurationMs> timeouts() const {
    core::Lock lock(mutex_);
    return timeouts_;
  }

 private:
  Answer answer_;
  mutable core::Mutex mutex_;
  std::vector<ExportRequest> requests_ GANTRY_GUARDED_BY(mutex_);
  std::vector<DurationMs> timeouts_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::broadcast::testing
