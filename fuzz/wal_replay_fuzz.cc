// Any bytes as the last segment of a log, and as an earlier one: opening and replaying must neither
// crash nor hand out a record that is not there, and the log must be usable afterwards.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/hash.h"
#include "core/log.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void replay(std::span<const std::byte> bytes, bool is_last) {
  FaultyFileSystem files;
  require(make_directories(files, "/wal").has_value());
  require(write_file_atomically(files, "/wal/0000000001.wal", bytes).has_value());
  if (!is_last) {
    require(write_file_atomically(files, "/wal/0000000002.wal", {}).has_value());
  }
  auto log = WriteAheadLog::open(files, "/wal", {});
  if (!log) {
    require(log.error().code == Code::FailedPrecondition);
    return;
  }
  std::uint64_t record_bytes = 0;
  const auto count = [&](const LogRecord& record) -> Result<void> {
    record_bytes += record.payload.size();
    return {};
  };
  const auto report = (*log)->replay(count);
  require(report.has_value());
  require(record_bytes <= bytes.size());
  require((*log)->append(1, core::as_bytes("after")).has_value());
  const auto again = (*log)->replay(count);
  require(again.has_value() && again->record_count == report->record_count + 1);
}

}  // namespace
}  // namespace gantry::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gantry::log::configure(gantry::log::Level::Error, gantry::log::Format::Logfmt);
  const auto bytes = std::as_bytes(std::span(data, size));
  gantry::storage::replay(bytes, true);
  gantry::storage::replay(bytes, false);
  return 0;
}
