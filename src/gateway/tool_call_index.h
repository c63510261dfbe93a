#pragma once

// Which tool call a fragment of a chat stream belongs to, whatever its provider made of `index`
// and `id`: left out, negative, the same for two calls, or repeated on every fragment.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace gantry::gateway {

struct ToolCallFragment {
  std::int64_t choice = 0;
  std::optional<std::int64_t> index;  ///< As the provider says; nothing if absent or negative.
  std::string_view id;                ///< "": none.
  std::string_view name;              ///< "": none.
};

struct ToolCallPlace {
  std::int64_t index = 0;     ///< For the client: distinct in a choice.
  bool is_first = false;      ///< The call begins with this fragment.
  bool repeats_id = false;    ///< A later fragment gives an id to a call that has one.
  bool repeats_name = false;  ///< A later fragment gives the call's name again.
  bool shares_id = false;     ///< A new call has the id of an earlier one.
};

/// One stream's calls. A call begins with a fragment whose index is new, or whose index belongs to
/// a call of another id and which names a function; without an index, with a new id, or with a name
/// and no id. What has neither index, id nor name continues the last call. The index for the client
/// is the provider's where that is free, else the next after the largest.
class ToolCallIndex {
 public:
  /// Later calls are all taken for the last one: hostile streams must not fill memory.
  static constexpr std::size_t kCallsMax = 1024;

  ToolCallPlace place(const ToolCallFragment& fragment);

 private:
  struct Call {
    std::int64_t choice = 0;
    std::int64_t index = 0;
    std::optional<std::int64_t> provider_index;
    std::size_t id_hash = 0;  ///< 0: no id yet. Hashes: ids may be of any length.
    std::size_t name_hash = 0;
  };

  Call* find_call(const ToolCallFragment& fragment, std::size_t id_hash);
  ToolCallPlace begin_call(const ToolCallFragment& fragment, std::size_t id_hash);

  std::vector<Call> calls_;
};

}  // namespace gantry::gateway
