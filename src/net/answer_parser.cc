#include <optional>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

#include "net/answer_parser_internal.h"

namespace gantry::net {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr int kInterimAnswersMax = 16;

/// "0\r\n\r\n". With less after a broken off header of a chunk, Beast 1.81 fails an assertion; at
/// least this much is still to come.
constexpr std::size_t kChunkedEndBytes = 5;

/// A body that is taken away while it comes.
struct PieceBody {
  using value_type = std::string;  // NOLINT(readability-identifier-naming): Beast's Body

  class reader {  // NOLINT(readability-identifier-naming): as above
   public:
    template <bool kIsRequest, class Fields>
    reader(http::header<kIsRequest, Fields>&, std::string& piece) : piece_(piece) {}

    void init(const boost::optional<std::uint64_t>&, ErrorCode& error) { error = {}; }

    template <class Buffers>
    std::size_t put(const Buffers& buffers, ErrorCode& error) {
      error = {};
      const std::size_t size = piece_.size();
      for (auto it = boost::asio::buffer_sequence_begin(buffers);
           it != boost::asio::buffer_sequence_end(buffers); ++it) {
        const boost::asio::const_buffer bytes(*it);
        piece_.append(static_cast<const char*>(bytes.data()), bytes.size());
      }
      return piece_.size() - size;
    }

    void finish(ErrorCode& error) { error = {}; }

   private:
    std::string& piece_;
  };
};

}  // namespace

struct AnswerParser::Impl {
  using Parser = http::response_parser<PieceBody>;

  std::size_t header_bytes_max = 0;
  Asked asked = Asked::Other;
  std::optional<Parser> parser;
  int interim_count = 0;
  bool has_head = false;
  std::size_t put_bytes_min = 1;

  void begin() {
    parser.emplace();
    parser->header_limit(static_cast<std::uint32_t>(header_bytes_max));
    parser->body_limit(boost::none);
    parser->eager(false);  // up to the end of the header
    parser->skip(asked == Asked::Head);
  }

  Result<void> end_header() {
    const int status =
        parser->get().result_int() > 999 ? 0 : static_cast<int>(parser->get().result_int());
    if (status < 100 || status == 101) {
      return fail(Code::Unavailable, fmt::format("the answer has the status {}", status));
    }
    if (status >= 200) {
      has_head = true;
      parser->eager(true);
      return {};
    }
    if (++interim_count > kInterimAnswersMax) {
      return fail(Code::Unavailable, "there is no end of interim answers (1xx)");
    }
    begin();
    return {};
  }
};

AnswerParser::AnswerParser(std::size_t header_bytes_max, Asked asked)
    : impl_(std::make_unique<Impl>()) {
  impl_->header_bytes_max = header_bytes_max;
  impl_->asked = asked;
  impl_->begin();
}

AnswerParser::~AnswerParser() = default;

Result<std::size_t> AnswerParser::put(std::string_view bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size() && !is_done()) {
    const std::string_view rest = bytes.substr(consumed);
    if (rest.size() < impl_->put_bytes_min) break;
    impl_->put_bytes_min = 1;
    ErrorCode error;
    const std::size_t count =
        impl_->parser->put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    consumed += count;
    if (error == http::error::need_more) {
      // What the parser leaves is a header or a chunk's header, not data.
      if (impl_->has_head) impl_->put_bytes_min = kChunkedEndBytes;
      if (bytes.size() - consumed <= impl_->header_bytes_max) break;
      error = http::error::header_limit;
    }
    if (error == http::error::header_limit) {
      return fail(Code::Unavailable, fmt::format("a header of the answer is larger than {} bytes",
                                                 impl_->header_bytes_max));
    }
    if (error) {
      return fail(Code::Unavailable, fmt::format("malformed HTTP answer: {}", error.message()));
    }
    if (!impl_->has_head && impl_->parser->is_header_done()) {
      GANTRY_CHECK(impl_->end_header());
      if (impl_->has_head) break;  // lest the fields of a trailer are taken for those of the header
    } else if (count == 0) {
      break;
    }
  }
  return consumed;
}

Result<void> AnswerParser::put_end() {
  ErrorCode error;
  if (impl_->has_head && !is_done()) impl_->parser->put_eof(error);
  if (!error && is_done()) return {};
  return fail(Code::Unavailable, "the connection was closed before the answer was whole");
}

bool AnswerParser::has_head() const {
  return impl_->has_head;
}

bool AnswerParser::is_untouched() const {
  return impl_->interim_count == 0 && !impl_->parser->got_some();
}

bool AnswerParser::is_done() const {
  return impl_->has_head && impl_->parser->is_done();
}

bool AnswerParser::keeps_alive() const {
  return impl_->parser->keep_alive() && !impl_->parser->need_eof();
}

int AnswerParser::status() const {
  return static_cast<int>(impl_->parser->get().result_int());
}

Headers AnswerParser::headers() const {
  Headers headers;
  for (const auto& field : impl_->parser->get()) {
    headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  return headers;
}

std::string AnswerParser::take_piece() {
  return std::exchange(impl_->parser->get().body(), {});
}

}  // namespace gantry::net
