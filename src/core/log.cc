#include "core/log.h"

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <memory>
#include <mutex>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "core/json_writer.h"

namespace gantry::log {
namespace {

struct Settings {
  std::atomic<Level> level{Level::Info};
  std::atomic<Format> format{Format::Logfmt};
};

Settings& settings() {
  static Settings instance;
  return instance;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::Debug:
      return "debug";
    case Level::Info:
      return "info";
    case Level::Warn:
      return "warn";
    case Level::Error:
      return "error";
  }
  return "error";
}

spdlog::logger& sink() {
  // Never destroyed: lines may be written until the very end of the process.
  static auto* const logger = [] {
    auto* made = new spdlog::logger("gantry", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string format_time(std::int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds{unix_ms}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '"' || c == '=' || c == '\\') return true;
  }
  return false;
}

void append_logfmt(std::string& out, std::string_view text) {
  if (needs_quotes(text)) {
    core::append_json_string(out, text);
  } else {
    out += text;
  }
}

struct ValueAppender {
  std::string& out;
  Format format;

  void operator()(std::string_view text) const {
    if (format == Format::Json) {
      core::append_json_string(out, text);
    } else {
      append_logfmt(out, text);
    }
  }

  void operator()(bool value) const { out += value ? "true" : "false"; }

  void operator()(double value) const { fmt::format_to(std::back_inserter(out), "{}", value); }

  void operator()(std::int64_t value) const {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }

  void operator()(std::uint64_t value) const {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
};

void append_field(std::string& out, Format format, std::string_view key, const Value& value) {
  if (format == Format::Json) {
    out.push_back(',');
    core::append_json_string(out, key);
    out.push_back(':');
  } else {
    out.push_back(' ');
    out += key;
    out.push_back('=');
  }
  std::visit(ValueAppender{out, format}, value.variant());
}

}  // namespace

void configure(Level level, Format format) {
  settings().level.store(level, std::memory_order_relaxed);
  settings().format.store(format, std::memory_order_relaxed);
}

bool is_enabled(Level level) {
  return level >= settings().level.load(std::memory_order_relaxed);
}

std::string render(Format format, Level level, std::int64_t unix_ms, std::string_view event,
                   Fields fields) {
  std::string line;
  const std::string time = format_time(unix_ms);
  if (format == Format::Json) {
    line = "{\"time\":\"" + time + "\"";
  } else {
    line = "time=" + time;
  }
  append_field(line, format, "level", level_name(level));
  append_field(line, format, "msg", event);
  for (const Field& field : fields) append_field(line, format, field.key, field.value);
  if (format == Format::Json) line.push_back('}');
  return line;
}

void write(Level level, std::string_view event, Fields fields) {
  if (!is_enabled(level)) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::string line =
      render(settings().format.load(std::memory_order_relaxed), level, unix_ms, event, fields);
  sink().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace gantry::log
