// Beast asserts in its chunk parser on bytes a client may well send ("0\r\n" and "\r" in two
// pieces), which the code after the assertion handles.
#define BOOST_DISABLE_ASSERTS

#include "http/request_reader.h"

#include <fmt/format.h>

#include <boost/beast/http/basic_parser.hpp>
#include <optional>

#include "http/target.h"
#include "http/text.h"

namespace kvern::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

class RequestReader::Parser final : public beast::http::basic_parser<true> {
 public:
  Parser(std::size_t header_bytes_max, std::size_t body_bytes_max)
      : header_bytes_max_(header_bytes_max), body_bytes_max_(body_bytes_max) {
    // Beast takes 32 bits here and counts each line's rest only; the sum is checked in feed().
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_bytes_max, UINT32_MAX)));
    body_limit(body_bytes_max);
  }

  tl::expected<Step, Rejection> feed(std::string_view bytes) {
    Step step;
    while (step.used < bytes.size()) {
      error_code ec;
      const std::string_view rest = bytes.substr(step.used);
      const bool in_header = !is_header_done();
      const std::size_t used = put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
      step.used += used;
      if (in_header) header_bytes_ += used;
      const std::size_t unused = rest.size() - used;
      if (ec == beast::http::error::need_more) {
        if (in_header && header_bytes_ + unused > header_bytes_max_) return tl::unexpected(header_too_large());
        if (unused > header_bytes_max_) return tl::unexpected(bad_request("a chunk header or trailer is too long"));
        return step;
      }
      if (ec) return tl::unexpected(rejection(ec, rest));
      if (header_bytes_ > header_bytes_max_) return tl::unexpected(header_too_large());
      if (is_done()) {
        step.progress = Progress::done;
        return step;
      }
      if (in_header && is_header_done()) {
        step.progress = Progress::header;
        return step;
      }
    }
    return step;
  }

  Request request;
  bool is_http_1_0 = false;
  bool expects_continue = false;

 private:
  static Rejection bad_request(std::string message) { return {400, Error{Code::invalid, std::move(message), {}}}; }
  Rejection header_too_large() const {
    return {431, Error{Code::too_large, fmt::format("the request header is over {} bytes", header_bytes_max_), {}}};
  }
  Rejection rejection(error_code ec, std::string_view bytes) {
    using beast::http::error;
    if (rejection_) return *std::move(rejection_);
    if (ec == error::header_limit) return header_too_large();
    if (ec == error::body_limit)
      return {413, Error{Code::too_large, fmt::format("the request body is over {} bytes", body_bytes_max_), {}}};
    if (ec == error::bad_version && bytes.find(" HTTP/") != bytes.npos)
      return {505, Error{Code::invalid, "only HTTP/1.0 and HTTP/1.1 are spoken here", {}}};
    return bad_request(fmt::format("this is not a well-formed HTTP request: {}", ec.message()));
  }
  void refuse(Rejection why, error_code& ec) {
    rejection_ = std::move(why);
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       error_code& ec) override {
    is_http_1_0 = version < 11;
    request.method = view(method);
    if (target.size() > limits::kTargetBytes)
      return refuse(
          {414, Error{Code::too_large, fmt::format("the path and query are over {} bytes", limits::kTargetBytes), {}}},
          ec);
    if (Status status = set_target(request, view(target)); !status) refuse({400, std::move(status).error()}, ec);
  }

  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value,
                     error_code& ec) override {
    using beast::http::field::expect;
    if (is_header_done()) return;  // trailers say nothing we use
    if (field == beast::http::field::transfer_encoding && !equals_ignoring_case(view(value), "chunked"))
      return refuse({501, Error{Code::invalid, "the only transfer coding understood is \"chunked\"", {}}}, ec);
    if (field == beast::http::field::host) ++hosts_;
    if (field == expect) {
      if (!equals_ignoring_case(view(value), "100-continue"))
        return refuse({417, Error{Code::invalid, "the only expectation understood is \"100-continue\"", {}}}, ec);
      expects_continue = true;
    }
    request.headers.emplace_back(to_lower(view(name)), view(value));
  }

  void on_header_impl(error_code& ec) override {
    if (is_http_1_0) {
      expects_continue = false;
      if (chunked()) refuse(bad_request("HTTP/1.0 has no chunked bodies"), ec);
    } else if (hosts_ != 1) {
      refuse(bad_request("an HTTP/1.1 request has exactly one Host header"), ec);
    }
  }

  std::size_t take_body(beast::string_view body) {
    request.body += view(body);
    return body.size();
  }
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return take_body(body); }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override {
    return take_body(body);
  }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const std::size_t header_bytes_max_;
  const std::size_t body_bytes_max_;
  std::size_t header_bytes_ = 0;
  int hosts_ = 0;
  std::optional<Rejection> rejection_;
};

RequestReader::RequestReader(std::size_t header_bytes_max, std::size_t body_bytes_max)
    : parser_(std::make_unique<Parser>(header_bytes_max, body_bytes_max)) {}
RequestReader::~RequestReader() = default;

tl::expected<RequestReader::Step, Rejection> RequestReader::feed(std::string_view bytes) {
  return parser_->feed(bytes);
}
Request RequestReader::take() { return std::move(parser_->request); }
bool RequestReader::keep_alive() const { return parser_->keep_alive(); }
bool RequestReader::is_http_1_0() const { return parser_->is_http_1_0; }
std::string_view RequestReader::path() const { return parser_->request.path; }
bool RequestReader::is_head() const { return parser_->request.method == "HEAD"; }
bool RequestReader::expects_continue() const { return parser_->expects_continue; }

}  // namespace kvern::http
