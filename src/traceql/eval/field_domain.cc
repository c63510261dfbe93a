#include <algorithm>
#include <utility>

#include "traceql/eval/field_domain_internal.h"

namespace gantry::traceql {

namespace {

struct Range {
  std::uint32_t begin = kNoRow;
  std::uint32_t end = kNoRow;

  [[nodiscard]] std::uint64_t size() const { return end - begin; }
};

/// The parts of a span, or one absent part.
Range parts_of(std::span<const std::uint32_t> begins, std::uint32_t span) {
  if (begins.empty() || begins[span] == begins[span + 1]) {
    return {.begin = kNoRow - 1, .end = kNoRow};
  }
  return {.begin = begins[span], .end = begins[span + 1]};
}

std::uint32_t part(const Range& range, std::uint32_t index) {
  return range.end == kNoRow ? kNoRow : index;
}

/// Hot: per row of the domain.
template <class RowOf>
RowSet gather(std::uint32_t size, const RowSet& of_level, RowOf&& row_of) {
  RowSet out(size);
  const std::span<std::uint64_t> words = out.words();
  for (std::uint32_t begin = 0; begin < size; begin += 64) {
    const std::uint32_t count = std::min<std::uint32_t>(size - begin, 64);
    std::uint64_t word = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = row_of(begin + i);
      const bool holds = row != kNoRow && of_level.contains(row);
      word |= static_cast<std::uint64_t>(holds) << i;
    }
    words[begin / 64] = word;
  }
  return out;
}

}  // namespace

FieldDomain FieldDomain::of_spans(std::uint32_t spans) {
  FieldDomain domain;
  domain.size_ = spans;
  return domain;
}

Result<FieldDomain> FieldDomain::of_parts(FieldTable& table, const RowSet& within, bool has_events,
                                          bool has_links) {
  std::span<const std::uint32_t> event_begins;
  std::span<const std::uint32_t> link_begins;
  if (has_events) {
    GANTRY_TRY(event_begins, table.event_begins());
  }
  if (has_links) {
    GANTRY_TRY(link_begins, table.link_begins());
  }
  std::uint64_t size = 0;
  within.for_each([&](std::uint32_t span) {
    size += parts_of(event_begins, span).size() * parts_of(link_begins, span).size();
  });
  if (size > kRowsMax) {
    return fail(Code::ResourceExhausted,
                "the query combines more than " + std::to_string(kRowsMax) +
                    " pairs of an event and a link; ask for them in separate filters");
  }
  FieldDomain domain;
  domain.has_events_ = has_events;
  domain.has_links_ = has_links;
  domain.spans_.reserve(size);
  within.for_each([&](std::uint32_t span) {
    const Range events = parts_of(event_begins, span);
    const Range links = parts_of(link_begins, span);
    for (std::uint32_t event = events.begin; event != events.end; ++event) {
      for (std::uint32_t link = links.begin; link != links.end; ++link) {
        domain.add(span, part(events, event), part(links, link));
      }
    }
  });
  return domain;
}

void FieldDomain::add(std::uint32_t span, std::uint32_t event, std::uint32_t link) {
  spans_.push_back(span);
  if (has_events_) events_.push_back(event);
  if (has_links_) links_.push_back(link);
  ++size_;
}

Result<RowSet> FieldDomain::spread(FieldTable& table, Level level, const RowSet& of_level) const {
  if (of_level.is_empty()) return RowSet(size_);
  SpanGroup& group = table.group();
  std::span<const std::uint32_t> of_span;
  switch (level) {
    case Level::Span:
      if (is_spans()) return of_level;
      return gather(size_, of_level, [&](std::uint32_t row) { return spans_[row]; });
    case Level::Event:
      return gather(size_, of_level, [&](std::uint32_t row) { return event(row); });
    case Level::Link:
      return gather(size_, of_level, [&](std::uint32_t row) { return link(row); });
    case Level::Resource: {
      GANTRY_TRY(of_span, group.resources());
      break;
    }
    case Level::Scope: {
      GANTRY_TRY(of_span, group.scopes());
      break;
    }
    case Level::Trace: {
      GANTRY_TRY(of_span, group.traces());
      break;
    }
  }
  if (of_level.is_full()) return RowSet(size_, true);
  if (is_spans()) return gather(size_, of_level, [&](std::uint32_t row) { return of_span[row]; });
  return gather(size_, of_level, [&](std::uint32_t row) { return of_span[spans_[row]]; });
}

RowSet FieldDomain::fold(const RowSet& rows, std::uint32_t spans) const {
  if (is_spans()) return rows;
  RowSet out(spans);
  rows.for_each([&](std::uint32_t row) { out.add(spans_[row]); });
  return out;
}

}  // namespace gantry::traceql
