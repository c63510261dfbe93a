#pragma once

// A Beast body that keeps what a decoder wants: one string with spare bytes behind it, which grows
// with what has arrived rather than with what was promised, and stops at a limit.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>

#include "net/http.h"

namespace gantry::net {

struct PaddedBody {
  struct value_type {  // NOLINT(readability-identifier-naming): Beast's Body requirements
    std::string bytes;
    std::uint64_t bytes_max = 0;
  };

  class reader {  // NOLINT(readability-identifier-naming): as above
   public:
    template <bool kIsRequest, class Fields>
    reader(boost::beast::http::header<kIsRequest, Fields>&, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& length, boost::system::error_code& error) {
      error = {};
      const std::uint64_t promised = length ? *length : 0;
      body_.bytes.reserve(std::min<std::uint64_t>(promised, kTrustedBytes) + kBodyPaddingBytes);
    }

    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      const std::size_t added = boost::asio::buffer_size(buffers);
      const std::size_t size = body_.bytes.size() + added;
      if (size > body_.bytes_max) {
        error = boost::beast::http::error::body_limit;
        return 0;
      }
      if (size + kBodyPaddingBytes > body_.bytes.capacity()) {
        body_.bytes.reserve(std::max(size, body_.bytes.capacity() * 2) + kBodyPaddingBytes);
      }
      for (auto it = boost::asio::buffer_sequence_begin(buffers);
           it != boost::asio::buffer_sequence_end(buffers); ++it) {
        const boost::asio::const_buffer piece(*it);
        body_.bytes.append(static_cast<const char*>(piece.data()), piece.size());
      }
      return added;
    }

    void finish(boost::system::error_code& error) { error = {}; }

   private:
    static constexpr std::uint64_t kTrustedBytes = 1 << 20;

    value_type& body_;
  };
};

}  // namespace gantry::net
