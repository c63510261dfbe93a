#include <algorithm>
#include <utility>

#include "traceql/eval/field_compare_internal.h"
#include "traceql/eval/field_evaluator_internal.h"

namespace gantry::traceql {

namespace {

/// The operands of a chain of &&, cheap ones first.
void collect_conjuncts(const FieldNode& node, std::vector<const FieldNode*>& out) {
  if (node.kind == FieldNode::Kind::And) {
    collect_conjuncts(*node.left, out);
    collect_conjuncts(*node.right, out);
  } else {
    out.push_back(&node);
  }
}

std::vector<const FieldNode*> conjuncts_of(const FieldNode& node) {
  std::vector<const FieldNode*> conjuncts;
  collect_conjuncts(node, conjuncts);
  std::ranges::stable_sort(conjuncts, {}, &FieldNode::cost);
  return conjuncts;
}

bool is_bool(const Static& value, bool wanted) {
  return value.type == StaticType::Bool && value.boolean == wanted;
}

}  // namespace

Result<RowSet> FieldEvaluator::spans(const FieldNode& node, const RowSet& within) {
  if (within.is_empty()) return within;
  if (node.kind == FieldNode::Kind::And) return spans_of_all(conjuncts_of(node), within);
  if (node.kind == FieldNode::Kind::Or && node.uses_events && node.uses_links) {
    // Some pair meets "a or b" if some pair meets a or some pair meets b: often neither side needs
    // pairs then.
    GANTRY_TRY(RowSet found, spans(*node.left, within));
    RowSet rest = within;
    rest -= found;
    GANTRY_TRY(const RowSet more, spans(*node.right, rest));
    found |= more;
    return found;
  }
  return spans_of_all({&node}, within);
}

Result<RowSet> FieldEvaluator::spans_of_all(const Nodes& conjuncts, const RowSet& within) {
  Nodes plain;
  Nodes events;
  Nodes links;
  Nodes both;
  for (const FieldNode* node : conjuncts) {
    if (node->uses_events && node->uses_links) {
      both.push_back(node);
    } else if (node->uses_events) {
      events.push_back(node);
    } else if (node->uses_links) {
      links.push_back(node);
    } else {
      plain.push_back(node);
    }
  }
  const FieldDomain domain = FieldDomain::of_spans(table_.rows(Level::Span));
  GANTRY_TRY(RowSet found, rows_of_all(plain, domain, within));
  if (!both.empty()) {
    // The same event in all of them, and the same link.
    both.insert(both.end(), events.begin(), events.end());
    both.insert(both.end(), links.begin(), links.end());
    return spans_with_parts(both, found);
  }
  // No condition ties an event to a link: each is some one, independent of the other.
  if (!events.empty() && !found.is_empty()) {
    GANTRY_TRY(found, spans_with_parts(events, found));
  }
  if (!links.empty() && !found.is_empty()) {
    GANTRY_TRY(found, spans_with_parts(links, found));
  }
  return found;
}

Result<RowSet> FieldEvaluator::spans_with_parts(const Nodes& conjuncts, const RowSet& within) {
  const bool has_events = std::ranges::any_of(conjuncts, &FieldNode::uses_events);
  const bool has_links = std::ranges::any_of(conjuncts, &FieldNode::uses_links);
  GANTRY_TRY(const FieldDomain domain,
             FieldDomain::of_parts(table_, within, has_events, has_links));
  GANTRY_TRY(const RowSet found, rows_of_all(conjuncts, domain, RowSet(domain.size(), true)));
  return domain.fold(found, within.size());
}

Result<RowSet> FieldEvaluator::rows_of_all(const Nodes& conjuncts, const FieldDomain& domain,
                                           const RowSet& within) {
  RowSet found = within;
  for (const FieldNode* node : conjuncts) {
    if (found.is_empty()) break;
    GANTRY_TRY(found, rows(*node, domain, found, true));
  }
  return found;
}

Result<RowSet> FieldEvaluator::rows_of_any(const FieldNode& node, const FieldDomain& domain,
                                           const RowSet& within) {
  GANTRY_TRY(RowSet found, rows(*node.left, domain, within, true));
  RowSet rest = within;
  rest -= found;
  if (rest.is_empty()) return found;
  GANTRY_TRY(const RowSet more, rows(*node.right, domain, rest, true));
  found |= more;
  return found;
}

template <class Match>
Result<RowSet> FieldEvaluator::rows_of_lookup(const Fields& fields, const FieldDomain& domain,
                                              const RowSet& within, Match&& match) {
  RowSet found(domain.size());
  RowSet open = within;
  for (std::size_t i = 0; i < fields.size() && !open.is_empty(); ++i) {
    const Field& field = *fields[i];
    const std::uint32_t size = table_.rows(field.level);
    GANTRY_TRY(RowSet matching, domain.spread(table_, field.level, match(field, size)));
    matching &= open;
    found |= matching;
    if (i + 1 == fields.size()) break;
    GANTRY_TRY(const RowSet hidden, domain.spread(table_, field.level, present(field, size)));
    open -= hidden;
  }
  return found;
}

Result<RowSet> FieldEvaluator::rows(const FieldNode& node, const FieldDomain& domain,
                                    const RowSet& within, bool wanted) {
  RowSet found(domain.size());
  switch (node.kind) {
    case FieldNode::Kind::Literal:
      return is_bool(node.literal, wanted) ? within : found;
    case FieldNode::Kind::Lookup:
      return rows_of_lookup(
          *node.fields, domain, within,
          [&](const Field& field, std::uint32_t size) { return match_bool(field, size, wanted); });
    case FieldNode::Kind::Not:
      return rows(*node.left, domain, within, !wanted);
    case FieldNode::Kind::Negate:
      return found;
    case FieldNode::Kind::Binary:
      return rows_one_by_one(node, domain, within, wanted);
    case FieldNode::Kind::Condition: {
      const Condition condition{
          .op = node.op, .literal = node.right->literal, .pattern = node.pattern.get()};
      GANTRY_TRY(found, rows_of_lookup(*node.left->fields, domain, within,
                                       [&](const Field& field, std::uint32_t size) {
                                         return match(field, size, condition);
                                       }));
      break;
    }
    case FieldNode::Kind::Exists:
    case FieldNode::Kind::Missing: {
      GANTRY_TRY(found, rows_of_lookup(*node.left->fields, domain, within, present));
      if (node.kind == FieldNode::Kind::Missing) wanted = !wanted;
      break;
    }
    case FieldNode::Kind::And: {
      GANTRY_TRY(found, rows_of_all(conjuncts_of(node), domain, within));
      break;
    }
    case FieldNode::Kind::Or: {
      GANTRY_TRY(found, rows_of_any(node, domain, within));
      break;
    }
  }
  if (wanted) return found;
  // These are true or false for every row; nothing else.
  RowSet rest = within;
  rest -= found;
  return rest;
}

Result<RowSet> FieldEvaluator::rows_one_by_one(const FieldNode& node, const FieldDomain& domain,
                                               const RowSet& within, bool wanted) {
  GANTRY_CHECK(load_references());
  RowSet found(domain.size());
  within.for_each([&](std::uint32_t row) {
    const std::optional<Static> value = compute(
        node, {.span = domain.span(row), .event = domain.event(row), .link = domain.link(row)});
    if (value && is_bool(*value, wanted)) found.add(row);
  });
  return found;
}

Result<void> FieldEvaluator::load_references() {
  if (has_references_) return {};
  SpanGroup& group = table_.group();
  GANTRY_TRY(resources_, group.resources());
  GANTRY_TRY(scopes_, group.scopes());
  GANTRY_TRY(traces_, group.traces());
  GANTRY_TRY(event_begins_, table_.event_begins());
  GANTRY_TRY(link_begins_, table_.link_begins());
  has_references_ = true;
  return {};
}

Static FieldEvaluator::look_up_part(const Field& field, const Place& place) const {
  const bool is_event = field.level == Level::Event;
  if (!place.is_first_part) {
    const std::uint32_t row = is_event ? place.event : place.link;
    return row == kNoRow ? Static::nil() : field.at(row);
  }
  const std::span<const std::uint32_t> begins = is_event ? event_begins_ : link_begins_;
  for (std::uint32_t row = begins[place.span]; row < begins[place.span + 1]; ++row) {
    Static value = field.at(row);
    if (value.type != StaticType::Nil) return value;
  }
  return Static::nil();
}

Static FieldEvaluator::look_up(const Fields& fields, const Place& place) const {
  for (const Field* field : fields) {
    Static value;
    switch (field->level) {
      case Level::Span:
        value = field->at(place.span);
        break;
      case Level::Resource:
        value = field->at(resources_[place.span]);
        break;
      case Level::Scope:
        value = field->at(scopes_[place.span]);
        break;
      case Level::Trace:
        value = field->at(traces_[place.span]);
        break;
      case Level::Event:
      case Level::Link:
        value = look_up_part(*field, place);
        break;
    }
    if (value.type != StaticType::Nil) return value;
  }
  return Static::nil();
}

std::optional<Static> FieldEvaluator::compute(const FieldNode& node, const Place& place) const {
  switch (node.kind) {
    case FieldNode::Kind::Literal:
      return node.literal;
    case FieldNode::Kind::Lookup:
      return look_up(*node.fields, place);
    case FieldNode::Kind::Exists:
      return Static::of_bool(look_up(*node.left->fields, place).type != StaticType::Nil);
    case FieldNode::Kind::Missing:
      return Static::of_bool(look_up(*node.left->fields, place).type == StaticType::Nil);
    case FieldNode::Kind::And:
    case FieldNode::Kind::Or: {
      const bool decides = node.kind == FieldNode::Kind::Or;
      for (const FieldNode* side : {node.left.get(), node.right.get()}) {
        const std::optional<Static> value = compute(*side, place);
        const bool is_true = value && is_bool(*value, true);
        if (is_true == decides) return Static::of_bool(decides);
      }
      return Static::of_bool(!decides);
    }
    case FieldNode::Kind::Not: {
      const std::optional<Static> value = compute(*node.left, place);
      if (!value || value->type != StaticType::Bool) return std::nullopt;
      return Static::of_bool(!value->boolean);
    }
    case FieldNode::Kind::Negate: {
      const std::optional<Static> value = compute(*node.left, place);
      return value ? negate(*value) : std::nullopt;
    }
    case FieldNode::Kind::Condition:
    case FieldNode::Kind::Binary: {
      const std::optional<Static> left = compute(*node.left, place);
      const std::optional<Static> right = compute(*node.right, place);
      if (!left || !right) return std::nullopt;
      return apply(node.op, *left, *right, node.pattern.get());
    }
  }
  return std::nullopt;
}

Result<Static> FieldEvaluator::value(const FieldNode& node, std::uint32_t span) {
  GANTRY_CHECK(load_references());
  return compute(node, {.span = span, .is_first_part = true}).value_or(Static::nil());
}

}  // namespace gantry::traceql
