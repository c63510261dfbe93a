#include "core/own_span.h"

#include <chrono>

namespace gantry::core {
namespace {

thread_local OwnSpanRecording* current = nullptr;

std::int64_t now_ns() {
  using std::chrono::duration_cast;
  using std::chrono::nanoseconds;
  return duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

OwnSpanRecording::OwnSpanRecording(std::string name) {
  OwnSpan span{.name = std::move(name), .start_ns = now_ns()};
  if (current == nullptr) {
    current = this;
    is_root_ = true;
    spans_.push_back(std::move(span));
  } else if (current->spans_.size() < kSpansMax) {
    span.parent = current->open_;
    child_ = current->spans_.size();
    current->open_ = child_;
    current->spans_.push_back(std::move(span));
  }
}

OwnSpanRecording::~OwnSpanRecording() {
  if (is_root_) {
    current = nullptr;
  } else if (child_ != OwnSpan::kNoParent && current != nullptr) {
    OwnSpan& span = current->spans_[child_];
    span.end_ns = now_ns();
    current->open_ = span.parent;
  }
}

std::vector<OwnSpan> OwnSpanRecording::take() {
  if (!is_root_) return {};
  is_root_ = false;
  current = nullptr;
  spans_.front().end_ns = now_ns();
  return std::move(spans_);
}

OwnSpanScope::OwnSpanScope(std::string_view name) {
  if (current == nullptr || current->spans_.size() >= OwnSpanRecording::kSpansMax) return;
  span_ = current->spans_.size();
  current->spans_.push_back(
      {.name = std::string(name), .start_ns = now_ns(), .parent = current->open_});
  current->open_ = span_;
}

OwnSpanScope::~OwnSpanScope() {
  if (span_ == OwnSpan::kNoParent || current == nullptr) return;
  OwnSpan& span = current->spans_[span_];
  span.end_ns = now_ns();
  current->open_ = span.parent;
}

void annotate_own_span(std::string_view key, OwnSpanValue value) {
  if (current == nullptr) return;
  auto& attributes = current->spans_[current->open_].attributes;
  if (attributes.size() < OwnSpanRecording::kAttributesMax)
    attributes.emplace_back(key, std::move(value));
}

void fail_own_span(std::string_view message) {
  if (current == nullptr) return;
  OwnSpan& span = current->spans_[current->open_];
  span.status = OwnSpanStatus::Error;
  span.status_message = message;
}

bool is_own_span_recorded() {
  return current != nullptr;
}

}  // namespace gantry::core
