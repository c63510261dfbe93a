// The labels of OTLP series, made when a store sees a series for the first time.

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <protozero/exception.hpp>

#include "codec/otlp_translator_internal.h"
#include "codec/series_labels.h"
#include "core/number_format.h"
#include "telemetry/metadata_labels.h"

namespace gantry::codec {

namespace {

using telemetry::LabelView;

constexpr std::string_view kJob = "job";
constexpr std::string_view kInstance = "instance";
constexpr std::array<std::string_view, 3> kIdentifying = {"service.name", "service.namespace",
                                                          "service.instance.id"};
/// Scope attributes that would take the place of the scope's own labels.
constexpr std::array<std::string_view, 3> kScopeFields = {"name", "version", "schema_url"};

template <class Range>
bool contains(const Range& range, std::string_view key) {
  return std::ranges::find(range, key) != std::ranges::end(range);
}

/// Labels of one series as they come together: those from `before` on.
class LabelSet {
 public:
  LabelSet(std::vector<LabelView>& labels, std::size_t before, core::Arena& arena)
      : labels_(labels), before_(before), arena_(arena) {}

  /// Two attributes that become the same label are both kept: "a;b".
  void join(std::string_view name, std::string_view value) {
    if (LabelView* const existing = find(name)) {
      existing->value = arena_.copy(fmt::format("{};{}", existing->value, value));
    } else {
      labels_.push_back({arena_.copy(name), value});
    }
  }

  void add_if_absent(std::string_view name, std::string_view value) {
    if (find(name) == nullptr) labels_.push_back({arena_.copy(name), value});
  }

  void set(std::string_view name, std::string_view value) {
    if (LabelView* const existing = find(name)) {
      existing->value = value;
    } else {
      labels_.push_back({name, value});
    }
  }

 private:
  LabelView* find(std::string_view name) {
    const auto found = std::ranges::find(labels_.begin() + static_cast<std::ptrdiff_t>(before_),
                                         labels_.end(), name, &LabelView::name);
    return found == labels_.end() ? nullptr : &*found;
  }

  std::vector<LabelView>& labels_;
  std::size_t before_;
  core::Arena& arena_;
};

/// Sorted by key, so that joined values do not depend on the sender's order.
std::vector<OtlpAttribute> sorted_attributes(std::string_view fields) {
  std::vector<OtlpAttribute> attributes;
  read_attributes(fields, attributes);
  std::ranges::stable_sort(attributes, {}, &OtlpAttribute::key);
  return attributes;
}

void promote_resource(const OtlpOptions& options, std::string_view attributes, core::Arena& arena,
                      LabelSet& set) {
  const ResourcePromotion& promotion = options.promotion;
  if (!promotion.all && promotion.attributes.empty()) return;
  std::string name;
  for (const OtlpAttribute& attribute : sorted_attributes(attributes)) {
    const bool is_promoted = promotion.all ? !contains(promotion.ignored, attribute.key)
                                           : contains(promotion.attributes, attribute.key);
    // A resource attribute that cannot be a label must not cost the points their storage.
    if (!is_promoted || !prometheus_label_name(attribute.key, options.label_names(), name))
      continue;
    set.add_if_absent(name, attribute_text(attribute.value, arena));
  }
}

void promote_scope(const OtlpOptions& options, const OtlpScope& scope, core::Arena& arena,
                   LabelSet& set) {
  if (!options.promotes_scope || scope.name.empty()) return;
  set.set("otel_scope_name", scope.name);
  if (!scope.version.empty()) set.set("otel_scope_version", scope.version);
  if (!scope.schema_url.empty()) set.set("otel_scope_schema_url", scope.schema_url);
  std::string name;
  for (const OtlpAttribute& attribute : sorted_attributes(scope.attributes)) {
    if (contains(kScopeFields, attribute.key)) continue;
    const std::string key = "otel_scope_" + std::string(attribute.key);
    if (!prometheus_label_name(key, options.label_names(), name)) continue;
    set.add_if_absent(name, attribute_text(attribute.value, arena));
  }
}

std::string_view number_label(double value, core::Arena& arena) {
  std::string text;
  core::append_float_plain(text, value);
  return arena.copy(text);
}

}  // namespace

Result<void> OtlpTranslator::Impl::collect_point_labels(const Source& source, core::Arena& out,
                                                        std::vector<LabelView>& labels,
                                                        std::size_t before) const {
  const MetricState& metric = metrics[source.metric];
  const ResourceState& resource = resources[metric.resource];
  LabelSet set(labels, before, out);
  std::string name;
  for (const OtlpAttribute& attribute : sorted_attributes(source.attributes)) {
    if (attribute.key == telemetry::kMetricNameLabel) continue;
    GANTRY_CHECK(prometheus_label_name(attribute.key, options->label_names(), name));
    set.join(name, attribute_text(attribute.value, out));
  }
  promote_resource(*options, resource.attributes, out, set);
  promote_scope(*options, scopes[metric.scope].scope, out, set);
  if (!resource.job.empty()) set.set(kJob, resource.job);
  if (!resource.instance.empty()) set.set(kInstance, resource.instance);
  if (options->adds_type_and_unit_labels) {
    if (metric.type != telemetry::MetricType::Unknown) {
      set.set(telemetry::kTypeLabel, telemetry::metric_type_name(metric.type));
    }
    if (!metric.name->unit.empty()) set.set(telemetry::kUnitLabel, metric.name->unit);
  }
  std::string_view suffix;
  switch (source.part) {
    case Part::Sum:
      suffix = "_sum";
      break;
    case Part::Count:
      suffix = "_count";
      break;
    case Part::Bucket:
      suffix = "_bucket";
      set.set("le", number_label(source.bound, out));
      break;
    case Part::Quantile:
      set.set("quantile", number_label(source.bound, out));
      break;
    case Part::Value:
    case Part::TargetInfo:
      break;
  }
  set.set(telemetry::kMetricNameLabel, out.copy(metric.name->name + std::string(suffix)));
  return {};
}

Result<void> OtlpTranslator::Impl::collect_target_info_labels(const Source& source,
                                                              core::Arena& out,
                                                              std::vector<LabelView>& labels,
                                                              std::size_t before) const {
  const ResourceState& resource = resources[source.metric];
  LabelSet set(labels, before, out);
  std::string name;
  for (const OtlpAttribute& attribute : sorted_attributes(resource.attributes)) {
    if (attribute.key == telemetry::kMetricNameLabel) continue;
    if (!options->keeps_identifying_attributes && contains(kIdentifying, attribute.key)) continue;
    if (!prometheus_label_name(attribute.key, options->label_names(), name)) continue;
    set.join(name, attribute_text(attribute.value, out));
  }
  if (!resource.job.empty()) set.set(kJob, resource.job);
  if (!resource.instance.empty()) set.set(kInstance, resource.instance);
  set.set(telemetry::kMetricNameLabel, "target_info");
  return {};
}

Result<void> OtlpTranslator::Impl::resolve(std::uint32_t series, core::Arena& out,
                                           std::vector<LabelView>& labels) const {
  const Source& source = sources[series];
  const std::size_t before = labels.size();
  try {
    GANTRY_CHECK(source.part == Part::TargetInfo
                     ? collect_target_info_labels(source, out, labels, before)
                     : collect_point_labels(source, out, labels, before));
  } catch (const protozero::exception& error) {
    labels.resize(before);
    return fail(Code::InvalidArgument, fmt::format("attribute is not a message: {}", error.what()));
  }
  return check_series_labels(std::span(labels).subspan(before));
}

}  // namespace gantry::codec
