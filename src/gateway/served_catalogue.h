#pragma once

// The catalogue with what calls to its providers need besides: the secrets of their keys, which of
// these are put aside, the places for calls at once, and the tokenizers of models.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "gateway/bpe_tokenizer.h"
#include "gateway/call_slots.h"
#include "gateway/catalogue.h"
#include "gateway/provider_keys.h"
#include "gateway/random_source.h"
#include "gateway/upstream_request.h"

namespace gantry::gateway {

/// The secret that ProviderKey::secret_reference refers to. Errors never hold it. May block.
using SecretReader = std::function<Result<std::string>(std::string_view reference)>;

/// env:NAME, the variable's value; file:PATH, the file's content without line breaks at its end, at
/// most 16 KiB. Errors, with the reference: NotFound (no such variable or file, or it is empty),
/// TooLarge, Unimplemented (any other kind: "sealed:" is ProviderSecrets'), Internal.
[[nodiscard]] Result<std::string> read_secret(std::string_view reference);

/// Thread-safe.
class ServedProvider {
 public:
  ServedProvider(std::shared_ptr<const Provider> provider, std::vector<std::string> secrets,
                 std::shared_ptr<CallSlots> slots, const Clock& clock, RandomSource& random);

  /// Of the provider's keys; nothing if it has none.
  [[nodiscard]] std::optional<std::size_t> pick_key() { return keys_.pick(); }

  [[nodiscard]] ProviderKeys& keys() { return keys_; }

  [[nodiscard]] const std::shared_ptr<CallSlots>& slots() const { return slots_; }

  /// Where a call to `endpoint`, one of this provider's, goes with the key of that index.
  [[nodiscard]] Upstream upstream(const Endpoint& endpoint, const ProviderTimeouts& timeouts,
                                  std::optional<std::size_t> key_index) const;

 private:
  const std::shared_ptr<const Provider> provider_;
  const std::vector<std::string> secrets_;
  const std::shared_ptr<CallSlots> slots_;
  ProviderKeys keys_;
};

/// Immutable but for what its providers learn.
class ServedCatalogue {
 public:
  struct Options {
    std::shared_ptr<const Catalogue> catalogue;
    const SecretReader& read_secret;
    std::shared_ptr<WaitingRoom> waiting_room;
    const Clock& steady_clock;  ///< Outlives the result, as `random` does.
    RandomSource& random;
    /// Whose places go on being counted: of providers with the same slug. Null: none.
    const ServedCatalogue* previous = nullptr;
  };

  /// Errors: those of reading secrets, with the provider's slug before them, and vocabularies, with
  /// the setting's name.
  static Result<std::shared_ptr<const ServedCatalogue>> make(const Options& options);

  [[nodiscard]] const Catalogue& catalogue() const { return *catalogue_; }

  /// Of an endpoint in the catalogue.
  [[nodiscard]] ServedProvider& provider_of(const Endpoint& endpoint) const;

  /// What counts the tokens of the model with that id. Null: nothing does.
  [[nodiscard]] const BpeTokenizer* tokenizer_of(std::string_view model_id) const;

  /// The same, by the name that a client gives the model.
  [[nodiscard]] const BpeTokenizer* tokenizer_for(std::string_view model_name) const;

 private:
  ServedCatalogue() = default;

  std::shared_ptr<const Catalogue> catalogue_;
  std::map<std::string, std::unique_ptr<ServedProvider>, std::less<>> providers_;
  std::vector<std::shared_ptr<const BpeTokenizer>> tokenizers_;  ///< As the catalogue's.
};

}  // namespace gantry::gateway
