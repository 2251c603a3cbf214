#include "http/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "http/client_socket.h"
#include "http/text.h"

namespace kvern::http {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

// Sends one request and takes its answer apart. Every read ends within timeout_ms.
class Conversation {
 public:
  // Takes decoded pieces of the body; false stops.
  using Sink = std::function<bool(std::string_view)>;

  Conversation(Descriptor fd, const ClientRequest& request) : fd_(std::move(fd)), request_(request) {}

  Status send_request() {
    std::string bytes = fmt::format("{} {} HTTP/1.1\r\n", request_.method, request_.target);
    const bool over_unix = request_.address.starts_with("unix:");
    const std::string_view authority = std::string_view(request_.address).substr(over_unix ? 0 : 7);
    fmt::format_to(std::back_inserter(bytes), "Host: {}\r\nConnection: close\r\n",
                   over_unix ? "localhost" : authority.substr(0, authority.find('/')));
    if (!request_.body.empty() || request_.method == "POST")
      fmt::format_to(std::back_inserter(bytes), "Content-Length: {}\r\n", request_.body.size());
    for (const auto& [name, value] : request_.headers)
      fmt::format_to(std::back_inserter(bytes), "{}: {}\r\n", name, value);
    bytes += "\r\n";
    bytes += request_.body;
    return send_all(bytes);
  }

  // Skips the interim 1xx answers.
  Status read_head(ClientResponse& out) {
    do {
      out.headers.clear();
      TRY(const std::string status_line, read_line());
      TRY_OK(parse_status(status_line, out.status));
      for (;;) {
        TRY(const std::string line, read_line());
        if (line.empty()) break;
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) return malformed("a header line without ':'");
        out.headers.emplace_back(to_lower(std::string_view(line).substr(0, colon)),
                                 trim(std::string_view(line).substr(colon + 1)));
      }
    } while (out.status < 200);
    return {};
  }

  Status read_body(const ClientResponse& head, const Sink& sink) {
    if (request_.method == "HEAD" || head.status == 204 || head.status == 304) return {};
    std::optional<std::size_t> length;
    for (const auto& [name, value] : head.headers) {
      if (name == "transfer-encoding" && equals_ignoring_case(value, "chunked")) return read_chunks(sink);
      if (name == "content-length") {
        TRY(length, parse_size(value, 10));
      }
    }
    return length ? read_exactly(*length, sink).map([](bool) {}) : read_to_end(sink);
  }

 private:
  tl::unexpected<Error> malformed(std::string_view what) const {
    return fail(Code::failed, fmt::format("{} does not answer in HTTP: {}", request_.address, what));
  }

  Result<std::size_t> parse_size(std::string_view text, int base) const {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return malformed("a bad length");
    return value;
  }

  Status parse_status(std::string_view line, int& status) const {
    if (!line.starts_with("HTTP/1.") || line.size() < 12) return malformed("a bad status line");
    TRY(const std::size_t code, parse_size(line.substr(9, 3), 10));
    status = static_cast<int>(code);
    return {};
  }

  // A server that refuses early answers before it has read everything; the answer is worth reading.
  Status send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        TRY_OK(wait_for(fd_.get(), POLLOUT, request_.timeout_ms, request_.address));
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return {};
      } else if (errno != EINTR) {
        return socket_error(request_.address, "cannot send to", errno);
      }
    }
    return {};
  }

  // False at the end of the stream.
  Result<bool> receive() {
    for (;;) {
      char bytes[kReadBytes];
      const ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (size == 0) return false;
      if (size > 0) {
        input_.append(bytes, static_cast<std::size_t>(size));
        return true;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        TRY_OK(wait_for(fd_.get(), POLLIN, request_.timeout_ms, request_.address));
      } else if (errno != EINTR) {
        return socket_error(request_.address, "lost the connection to", errno);
      }
    }
  }

  Status need_more() {
    TRY(const bool more, receive());
    if (!more)
      return fail(Code::failed, fmt::format("{} closed the connection in the middle of its answer", request_.address));
    return {};
  }

  Result<std::string> read_line() {
    std::size_t end = 0;
    while ((end = input_.find('\n')) == std::string::npos) {
      if (input_.size() > limits::kHeaderBytes) return malformed("a line without an end");
      TRY_OK(need_more());
    }
    std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

  // False when the sink stopped it.
  Result<bool> read_exactly(std::size_t length, const Sink& sink) {
    while (length > 0) {
      if (input_.empty()) TRY_OK(need_more());
      const std::string piece = take(length);
      length -= piece.size();
      if (!sink(piece)) return false;
    }
    return true;
  }

  Status read_chunks(const Sink& sink) {
    for (;;) {
      TRY(const std::string line, read_line());
      TRY(const std::size_t size, parse_size(trim(std::string_view(line).substr(0, line.find(';'))), 16));
      if (size == 0) break;
      TRY(const bool go_on, read_exactly(size, sink));
      if (!go_on) return {};
      TRY(const std::string line_end, read_line());
      if (!line_end.empty()) return malformed("a chunk longer than it says");
    }
    for (;;) {
      TRY(const std::string trailer, read_line());
      if (trailer.empty()) return {};
    }
  }

  Status read_to_end(const Sink& sink) {
    for (;;) {
      if (!input_.empty() && !sink(std::exchange(input_, {}))) return {};
      TRY(const bool more, receive());
      if (!more) return {};
    }
  }

  std::string take(std::size_t at_most) {
    if (input_.size() <= at_most) return std::exchange(input_, {});
    std::string piece = input_.substr(0, at_most);
    input_.erase(0, at_most);
    return piece;
  }

  Descriptor fd_;
  const ClientRequest& request_;
  std::string input_;
};

// The event stream format, from pieces cut anywhere.
class EventReader {
 public:
  using OnData = std::function<bool(std::string_view event, std::string_view data)>;
  explicit EventReader(const OnData& on_data) : on_data_(on_data) {}

  bool feed(std::string_view piece) {
    for (const char c : piece) {
      const bool second_of_crlf = c == '\n' && last_ == '\r';
      last_ = c;
      if (second_of_crlf) continue;
      if (c != '\n' && c != '\r') {
        line_ += c;
        continue;
      }
      if (!end_line()) return false;
      line_.clear();
    }
    return true;
  }

 private:
  bool end_line() {
    if (line_.empty()) {
      const std::string event = std::exchange(event_, {});
      const std::optional<std::string> data = std::exchange(data_, std::nullopt);
      return !data || on_data_(event, *data);
    }
    const std::size_t colon = line_.find(':');
    const std::string_view name = std::string_view(line_).substr(0, colon);
    std::string_view value = colon == std::string::npos ? "" : std::string_view(line_).substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "event") event_ = value;
    if (name == "data") data_ = data_ ? *data_ + '\n' + std::string(value) : std::string(value);
    return true;
  }

  const OnData& on_data_;
  std::string line_;
  std::string event_;
  std::optional<std::string> data_;
  char last_ = '\0';
};

Result<Conversation> converse(const ClientRequest& request, ClientResponse& head) {
  TRY(Descriptor fd, connect_to(request.address, request.timeout_ms));
  Conversation conversation(std::move(fd), request);
  TRY_OK(conversation.send_request());
  TRY_OK(conversation.read_head(head));
  return conversation;
}

}  // namespace

Result<ClientResponse> fetch(const ClientRequest& request) {
  ClientResponse response;
  TRY(Conversation conversation, converse(request, response));
  TRY_OK(conversation.read_body(response, [&](std::string_view piece) {
    response.body += piece;
    return true;
  }));
  return response;
}

Result<ClientResponse> fetch_events(const ClientRequest& request,
                                    const std::function<bool(std::string_view, std::string_view)>& on_data) {
  ClientResponse response;
  TRY(Conversation conversation, converse(request, response));
  EventReader events(on_data);
  TRY_OK(conversation.read_body(response, [&](std::string_view piece) {
    if (response.status == 200) return events.feed(piece);
    response.body += piece;
    return true;
  }));
  return response;
}

}  // namespace kvern::http
