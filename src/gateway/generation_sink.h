#pragma once

#include <memory>

#include "access/principal.h"
#include "core/ids.h"
#include "gateway/generation.h"

namespace gantry::gateway {

/// Who wants to know of finished calls: the stack's own traces, broadcast.
class GenerationSink {
 public:
  GenerationSink() = default;
  GenerationSink(const GenerationSink&) = delete;
  GenerationSink& operator=(const GenerationSink&) = delete;
  virtual ~GenerationSink() = default;

  /// Once for each call that went to a provider, when its answer is over, however that went. On an
  /// I/O thread: what takes long belongs elsewhere. Any number of threads at once.
  virtual void take(access::OrgId org, StackId stack,
                    const std::shared_ptr<const Generation>& generation) = 0;
};

}  // namespace gantry::gateway
