#include <algorithm>
#include <utility>
#include <variant>

#include "traceql/metrics/observation.h"

namespace gantry::traceql::metrics {

namespace {

struct Collector {
  std::vector<Attribute> attributes;

  void add(const Attribute& attribute) {
    if (std::ranges::find(attributes, attribute) == attributes.end()) {
      attributes.push_back(attribute);
    }
  }

  void visit_field(const FieldExpr* field) {
    if (field == nullptr) return;
    if (const auto* attribute = std::get_if<Attribute>(&field->node)) {
      add(*attribute);
    } else if (const auto* unary = std::get_if<UnaryField>(&field->node)) {
      visit_field(unary->operand.get());
    } else if (const auto* binary = std::get_if<BinaryField>(&field->node)) {
      visit_field(binary->left.get());
      visit_field(binary->right.get());
    }
  }

  void visit_spanset(const SpansetExpr& spanset) {
    if (const auto* filter = std::get_if<SpansetFilter>(&spanset.node)) {
      visit_field(filter->field.get());
    } else if (const auto* binary = std::get_if<SpansetBinary>(&spanset.node)) {
      visit_spanset(*binary->left);
      visit_spanset(*binary->right);
    } else if (const auto* nested = std::get_if<SpansetPipeline>(&spanset.node)) {
      visit_pipeline(*nested->pipeline);
    }
  }

  void visit_pipeline(const Pipeline& pipeline) {
    for (const Stage& stage : pipeline.stages) {
      if (const auto* spanset = std::get_if<SpansetExpr>(&stage)) {
        visit_spanset(*spanset);
      } else if (const auto* scalar = std::get_if<ScalarFilter>(&stage)) {
        visit_field(scalar->aggregate.field.get());
      } else if (const auto* by = std::get_if<GroupBy>(&stage)) {
        visit_field(by->field.get());
      } else if (const auto* select = std::get_if<Select>(&stage)) {
        for (const Attribute& attribute : select->attributes) add(attribute);
      }
    }
  }
};

}  // namespace

std::vector<FieldExpr> fields_of(const MetricsPipeline& pipeline) {
  Collector collector;
  collector.visit_pipeline(pipeline.pipeline);
  if (pipeline.function.attribute) collector.add(*pipeline.function.attribute);
  for (const Attribute& attribute : pipeline.function.by) collector.add(attribute);
  std::vector<FieldExpr> fields;
  fields.reserve(collector.attributes.size());
  for (Attribute& attribute : collector.attributes) {
    fields.push_back({.node = std::move(attribute)});
  }
  return fields;
}

}  // namespace gantry::traceql::metrics
