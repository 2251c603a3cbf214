// Reads one HTTP/1.x request out of bytes that arrive in any pieces. Does no I/O.
//
// Everything the limits bound is refused as soon as it is seen, and a request that two servers
// could understand differently (doubled lengths, odd transfer codings) is refused always.
// Thread: net.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace kvern::http {

// A request that is answered without asking the handler.
struct [[nodiscard]] Rejection {
  int status = 400;
  Error error;
};

class RequestReader {
 public:
  enum class Progress {
    more,    // feed again with what was not used and more
    header,  // the header is complete, the body begins; said once, and only when there is a body
    done,    // take the request; what was not used belongs to the next one
  };
  struct Step {
    Progress progress = Progress::more;
    std::size_t used = 0;  // bytes of the piece that need not be shown again
  };

  RequestReader(std::size_t header_bytes_max, std::size_t body_bytes_max);
  ~RequestReader();

  // Not to be called again after done or a rejection.
  tl::expected<Step, Rejection> feed(std::string_view bytes);

  Request take();  // once, after done

  // Known from Progress::header on.
  bool keep_alive() const;  // the client wants to go on after this request
  bool is_http_1_0() const;
  bool is_head() const;
  std::string_view path() const;  // known earlier: from the request line on
  bool expects_continue() const;  // it waits for "100 Continue" before it sends the body

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace kvern::http
