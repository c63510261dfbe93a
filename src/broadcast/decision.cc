#include "broadcast/decision.h"

#include "pipeline/sampling.h"

namespace gantry::broadcast {

Decision decide(const Destination& destination, const EventFacts& facts) {
  if (!destination.is_enabled) return Decision::Disabled;
  if (!takes_key(destination, facts.key_hash)) return Decision::KeyFiltered;
  if (!pipeline::is_sampled(destination.id, facts.sampling_key, destination.sampling_rate))
    return Decision::Sampled;
  return destination.filter_rules.matches(facts.fields) ? Decision::Taken : Decision::Filtered;
}

}  // namespace gantry::broadcast
