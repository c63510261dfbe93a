#include "gateway/spend.h"

#include <chrono>
#include <limits>

namespace gantry::gateway {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month;
using std::chrono::year_month_day;

sys_days day_of(TimestampMs time) {
  return std::chrono::floor<std::chrono::days>(std::chrono::sys_time<std::chrono::milliseconds>(
      std::chrono::milliseconds(time.since_epoch)));
}

sys_days monday_of(sys_days day) {
  return day - (std::chrono::weekday(day) - std::chrono::Monday);
}

year_month month_of(sys_days day) {
  const year_month_day date(day);
  return {date.year(), date.month()};
}

TimestampMs start_of(sys_days day) {
  return {std::chrono::milliseconds(day.time_since_epoch()).count()};
}

PicoUsd in_window(const Spend& spend, LimitReset reset) {
  switch (reset) {
    case LimitReset::Never:
      return spend.total;
    case LimitReset::Daily:
      return spend.daily;
    case LimitReset::Weekly:
      return spend.weekly;
    case LimitReset::Monthly:
      return spend.monthly;
  }
  return spend.total;
}

void add_to(Spend& spend, PicoUsd cost) {
  for (PicoUsd* sum : {&spend.total, &spend.daily, &spend.weekly, &spend.monthly})
    *sum = add_usd(*sum, cost);
}

}  // namespace

PicoUsd add_usd(PicoUsd a, PicoUsd b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a.value, b.value, &sum))
    return {std::numeric_limits<std::int64_t>::max()};
  return {sum};
}

void KeySpend::roll(TimestampMs now) {
  if (now <= as_of) return;
  const sys_days before = day_of(as_of);
  const sys_days today = day_of(now);
  as_of = now;
  for (Spend* spend : {&own, &byok}) {
    if (before != today) spend->daily = {};
    if (monday_of(before) != monday_of(today)) spend->weekly = {};
    if (month_of(before) != month_of(today)) spend->monthly = {};
  }
}

void KeySpend::add(PicoUsd own_cost, PicoUsd byok_cost) {
  add_to(own, own_cost);
  add_to(byok, byok_cost);
}

PicoUsd KeySpend::against_limit(const GatewayKeySettings& settings) const {
  const PicoUsd spent = in_window(own, settings.limit_reset);
  return settings.includes_byok ? add_usd(spent, in_window(byok, settings.limit_reset)) : spent;
}

std::optional<TimestampMs> next_reset(LimitReset reset, TimestampMs now) {
  const sys_days today = day_of(now);
  switch (reset) {
    case LimitReset::Never:
      return std::nullopt;
    case LimitReset::Daily:
      return start_of(today + std::chrono::days(1));
    case LimitReset::Weekly:
      return start_of(monday_of(today) + std::chrono::days(7));
    case LimitReset::Monthly:
      return start_of(sys_days((month_of(today) + std::chrono::months(1)) / 1));
  }
  return std::nullopt;
}

}  // namespace gantry::gateway
