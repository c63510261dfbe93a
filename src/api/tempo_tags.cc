// Names and values of attributes: what an editor completes.

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus_support.h"
#include "api/tempo_json.h"
#include "api/tempo_protobuf.h"
#include "api/tempo_support.h"
#include "core/own_span.h"
#include "traceql/parser.h"

namespace gantry::api {
namespace {

using traceql::AttributeScope;
using traceql::FieldExpr;
using traceql::FieldOp;
using traceql::Intrinsic;
using traceql::Static;

/// What `scope=intrinsic` lists.
constexpr auto kIntrinsics = std::to_array<std::string_view>({
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
});

std::vector<std::string> intrinsic_names() {
  return {kIntrinsics.begin(), kIntrinsics.end()};
}

std::string_view scope_text(AttributeScope scope) {
  switch (scope) {
    case AttributeScope::Span:
      return "span";
    case AttributeScope::Resource:
      return "resource";
    case AttributeScope::Event:
      return "event";
    case AttributeScope::Link:
      return "link";
    case AttributeScope::Instrumentation:
      return "instrumentation";
    case AttributeScope::None:
      break;
  }
  return "none";
}

/// What `scope` asks for.
struct ScopeChoice {
  bool has_intrinsics = false;
  bool has_attributes = true;
  std::optional<AttributeScope> only;  ///< Of the attributes.
};

TempoResult<ScopeChoice> read_scope(const TempoParameters& parameters) {
  const std::string_view text = parameters.text("scope");
  if (text.empty() || text == "none") return ScopeChoice{.has_intrinsics = true};
  if (text == "intrinsic") return ScopeChoice{.has_intrinsics = true, .has_attributes = false};
  for (const AttributeScope scope :
       {AttributeScope::Resource, AttributeScope::Span, AttributeScope::Event, AttributeScope::Link,
        AttributeScope::Instrumentation})
    if (text == scope_text(scope)) return ScopeChoice{.only = scope};
  return tempo_bad_request(fmt::format("invalid scope: {}", text));
}

/// A limit that is not there, or not positive, is none.
TempoResult<std::size_t> read_tag_limit(const TempoParameters& parameters) {
  const auto limit = parameters.integer("limit");
  if (!limit) return std::unexpected(limit.error());
  return static_cast<std::size_t>(std::max<std::int64_t>(limit->value_or(0), 0));
}

/// How many conjunctions `field` has when its ORs are multiplied out; stops counting at `most`.
std::size_t count_condition_groups(const FieldExpr& field, std::size_t most) {
  const auto* const binary = std::get_if<traceql::BinaryField>(&field.node);
  if (binary == nullptr) return 1;
  if (binary->op != FieldOp::And && binary->op != FieldOp::Or) return 1;
  const std::size_t left = count_condition_groups(*binary->left, most);
  const std::size_t right = count_condition_groups(*binary->right, most);
  return std::min(binary->op == FieldOp::Or ? left + right : left * right, most);
}

/// The value that `field` demands of `attribute`: every span that matches has it.
const Static* demanded_value(const FieldExpr& field, const traceql::Attribute& attribute) {
  const auto* const binary = std::get_if<traceql::BinaryField>(&field.node);
  if (binary == nullptr) return nullptr;
  if (binary->op == FieldOp::And) {
    const Static* const left = demanded_value(*binary->left, attribute);
    return left != nullptr ? left : demanded_value(*binary->right, attribute);
  }
  if (binary->op != FieldOp::Equal) return nullptr;
  const auto* const name = std::get_if<traceql::Attribute>(&binary->left->node);
  const auto* const value = std::get_if<Static>(&binary->right->node);
  if (name == nullptr || value == nullptr || !(*name == attribute)) return nullptr;
  return value->type == traceql::StaticType::Nil ? nullptr : value;
}

/// Of fields whose values are known without looking. Null for others.
std::optional<std::vector<Static>> fixed_values(const traceql::Attribute& attribute) {
  switch (attribute.intrinsic) {
    case Intrinsic::Status:  // error, ok, unset
      return std::vector{Static::of_status(2), Static::of_status(1), Static::of_status(0)};
    case Intrinsic::Kind:
      return std::vector{Static::of_kind(3), Static::of_kind(2), Static::of_kind(4),
                         Static::of_kind(5), Static::of_kind(1), Static::of_kind(0)};
    case Intrinsic::Duration:
    case Intrinsic::TraceDuration:
      return std::vector<Static>();
    default:
      return std::nullopt;
  }
}

/// What the old names of fields mean.
traceql::Attribute unscoped_attribute(std::string_view name) {
  static constexpr std::array kNames = {
      std::pair{std::string_view("name"), Intrinsic::Name},
      std::pair{std::string_view("root.name"), Intrinsic::RootName},
      std::pair{std::string_view("root.service.name"), Intrinsic::RootServiceName},
      std::pair{std::string_view("status.code"), Intrinsic::Status}};
  traceql::Attribute attribute{.name = std::string(name), .text = fmt::format(".{}", name)};
  for (const auto& [known, intrinsic] : kNames)
    if (name == known) attribute = {.intrinsic = intrinsic, .text = std::string(name)};
  return attribute;
}

class TagApi {
 public:
  explicit TagApi(const Services& services) : services_(services) {}

  TempoResult<net::Response> names(net::Request& request, const access::StackView& view) const {
    const auto found = find_names(request, view);
    if (!found) return std::unexpected(found.error());
    std::set<std::string> names;
    for (const TagScope& scope : found->scopes) {
      const bool is_listed = found->is_chosen || scope.name == "resource" || scope.name == "span";
      if (is_listed) names.insert(scope.tags.begin(), scope.tags.end());
    }
    const std::vector<std::string> list(names.begin(), names.end());
    return tempo_response(request, [&](TempoFormat format) {
      return format == TempoFormat::Protobuf ? tag_names_protobuf(list, found->statistics)
                                             : tag_names_json(list, found->statistics);
    });
  }

  TempoResult<net::Response> scopes(net::Request& request, const access::StackView& view) const {
    const auto found = find_names(request, view);
    if (!found) return std::unexpected(found.error());
    return tempo_response(request, [&](TempoFormat format) {
      return format == TempoFormat::Protobuf ? tag_scopes_protobuf(found->scopes, found->statistics)
                                             : tag_scopes_json(found->scopes, found->statistics);
    });
  }

  /// `path`: NAME/values, where the name may have slashes.
  TempoResult<net::Response> values(net::Request& request, const access::StackView& view) const {
    const auto name = name_of_path(request);
    if (!name) return std::unexpected(name.error());
    const auto found = find_values(request, view, unscoped_attribute(*name), Filter::Ignored);
    if (!found) return std::unexpected(found.error());
    const traceql::SearchStatistics statistics = shown_statistics(found->statistics, view);
    return tempo_response(request, [&](TempoFormat format) {
      return format == TempoFormat::Protobuf ? tag_values_protobuf(found->values, statistics)
                                             : tag_values_json(found->values, statistics);
    });
  }

  TempoResult<net::Response> typed_values(net::Request& request,
                                          const access::StackView& view) const {
    const auto name = name_of_path(request);
    if (!name) return std::unexpected(name.error());
    const auto attribute = traceql::parse_identifier(*name);
    if (!attribute)
      return tempo_bad_request(
          fmt::format("please provide a valid tagName: failed to parse identifier {}: {}", *name,
                      attribute.error().message));
    const auto found = find_values(request, view, *attribute, Filter::Applied);
    if (!found) return std::unexpected(found.error());
    const traceql::SearchStatistics statistics = shown_statistics(found->statistics, view);
    return tempo_response(request, [&](TempoFormat format) {
      return format == TempoFormat::Protobuf ? typed_tag_values_protobuf(found->values, statistics)
                                             : typed_tag_values_json(found->values, statistics);
    });
  }

 private:
  struct Names {
    std::vector<TagScope> scopes;
    bool is_chosen = false;  ///< The request named a scope.
    traceql::SearchStatistics statistics;
  };

  enum class Filter : std::uint8_t { Ignored, Applied };

  static TempoResult<std::string> name_of_path(const net::Request& request) {
    constexpr std::string_view kEnd = "/values";
    std::string_view path = request.path_parameter("path");
    if (!path.ends_with(kEnd) || path.size() == kEnd.size())
      return std::unexpected(TempoError{.status = 404, .message = "404 page not found"});
    path.remove_suffix(kEnd.size());
    return std::string(path);
  }

  /// Null when there is nothing to filter by.
  static TempoResult<traceql::FieldPtr> read_filter(const TempoParameters& parameters) {
    const auto text = read_query_text(parameters, "q");
    if (!text) return std::unexpected(text.error());
    if (text->empty()) return nullptr;
    traceql::FieldPtr filter = traceql::parse_partial_filter(*text);
    constexpr std::size_t kGroupsMax = 100;
    if (filter && count_condition_groups(*filter, kGroupsMax + 1) > kGroupsMax)
      return tempo_bad_request(
          fmt::format("maximum condition groups reached (limit: {}). Reduce the number of OR "
                      "conditions in the query",
                      kGroupsMax));
    return filter;
  }

  TempoResult<Names> find_names(net::Request& request, const access::StackView& view) const {
    const auto parameters = TempoParameters::read(request);
    if (!parameters) return std::unexpected(parameters.error());
    const auto scope = read_scope(*parameters);
    if (!scope) return std::unexpected(scope.error());
    const auto range = read_seconds(*parameters);
    if (!range) return std::unexpected(range.error());
    const auto limit = read_tag_limit(*parameters);
    if (!limit) return std::unexpected(limit.error());
    const auto filter = read_filter(*parameters);
    if (!filter) return std::unexpected(filter.error());

    Names names{.is_chosen = scope->only || !scope->has_attributes};
    if (scope->has_intrinsics) names.scopes.push_back({"intrinsic", intrinsic_names()});
    if (!scope->has_attributes) return names;
    const core::OwnSpanScope span("traceql.tag_names");
    auto answer = services_.traceql.tag_names({.scope = scope->only,
                                               .filter = filter->get(),
                                               .start_ns = range->start_ns(),
                                               .end_ns = range->end_ns(),
                                               .limit = *limit},
                                              view.traces_source(), cancel(request, view));
    if (!answer) return std::unexpected(tempo_error(answer.error()));
    for (auto& [each, tags] : answer->scopes)
      names.scopes.push_back({scope_text(each), std::move(tags)});
    names.statistics = shown_statistics(answer->statistics, view);
    return names;
  }

  TempoResult<traceql::TagValuesAnswer> find_values(net::Request& request,
                                                    const access::StackView& view,
                                                    const traceql::Attribute& attribute,
                                                    Filter uses_filter) const {
    const auto parameters = TempoParameters::read(request);
    if (!parameters) return std::unexpected(parameters.error());
    const auto range = read_seconds(*parameters);
    if (!range) return std::unexpected(range.error());
    const auto limit = read_tag_limit(*parameters);
    if (!limit) return std::unexpected(limit.error());
    traceql::FieldPtr filter;
    if (uses_filter == Filter::Applied) {
      auto read = read_filter(*parameters);
      if (!read) return std::unexpected(read.error());
      filter = *std::move(read);
    }
    if (auto fixed = fixed_values(attribute))
      return traceql::TagValuesAnswer{.values = *std::move(fixed)};
    if (const Static* const only = filter ? demanded_value(*filter, attribute) : nullptr)
      return traceql::TagValuesAnswer{.values = {*only}};
    const core::OwnSpanScope span("traceql.tag_values");
    auto answer = services_.traceql.tag_values({.attribute = &attribute,
                                                .filter = filter.get(),
                                                .start_ns = range->start_ns(),
                                                .end_ns = range->end_ns(),
                                                .limit = *limit},
                                               view.traces_source(), cancel(request, view));
    if (!answer) return std::unexpected(tempo_error(answer.error()));
    return *std::move(answer);
  }

  [[nodiscard]] CancelToken cancel(const net::Request& request,
                                   const access::StackView& view) const {
    return with_timeout(request.cancel, settings_for(services_, view).query_timeout);
  }

  const Services& services_;
};

}  // namespace

void add_tempo_tag_routes(net::Router& router, const Services& services, TempoRefusals refusals) {
  const TagApi api(services);
  const auto add = [&](std::string_view path, std::string_view name,
                       TempoResult<net::Response> (TagApi::*handle)(
                           net::Request&, const access::StackView&) const) {
    add_tempo_route(router, net::Method::Get, path, name, services, access::Scope::TracesRead,
                    refusals, [api, handle](net::Request& request, const access::StackView& view) {
                      return (api.*handle)(request, view);
                    });
  };
  add("/api/search/tags", "tempo_tags", &TagApi::names);
  add("/api/v2/search/tags", "tempo_tags_v2", &TagApi::scopes);
  add("/api/search/tag/{path...}", "tempo_tag_values", &TagApi::values);
  add("/api/v2/search/tag/{path...}", "tempo_tag_values_v2", &TagApi::typed_values);
}

}  // namespace gantry::api
