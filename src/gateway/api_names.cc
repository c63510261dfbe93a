#include "gateway/api_names_internal.h"

namespace gantry::gateway {

std::string_view operation_name(Api api) {
  switch (api) {
    case Api::Completions:
      return "text_completion";
    case Api::Embeddings:
      return "embeddings";
    case Api::Chat:
    case Api::Responses:
    case Api::Messages:
      break;
  }
  return "chat";
}

std::string_view api_type(Api api) {
  switch (api) {
    case Api::Embeddings:
      return "embeddings";
    case Api::Responses:
      return "responses";
    case Api::Messages:
      return "messages";
    case Api::Chat:
    case Api::Completions:
      break;
  }
  return "completions";
}

std::string_view model_author(std::string_view model) {
  const std::size_t slash = model.find('/');
  return slash == std::string_view::npos ? std::string_view() : model.substr(0, slash);
}

}  // namespace gantry::gateway
