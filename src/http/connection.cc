#include "http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"
#include "http/sse.h"

namespace kvern::http {
namespace {

// A client may only read the answer after it has sent everything, so the socket is kept a while
// after the last byte; closing with unread input would reset it and take the answer back.
constexpr int kLinger_ms = 5'000;
constexpr int kDrainLinger_ms = 250;
constexpr std::size_t kKeptBufferBytes = 16 * 1024;  // a larger buffer is freed between requests

void shrink(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBufferBytes) std::string().swap(buffer);
}

}  // namespace

Connection::Connection(ConnectionOwner& owner, std::unique_ptr<Socket> socket)
    : owner_(owner),
      socket_(std::move(socket)),
      deadline_(owner.loop->timer([this] { on_deadline(); })),
      write_deadline_(owner.loop->timer([this] { close(); })),
      ping_timer_(owner.loop->timer([this] { ping(); })) {
  socket_->attach(*this);
}

Connection::~Connection() {
  leave_feed();
  if (exchange_) end_exchange();
}

void Connection::start() {
  deadline_->start(owner_.options.idle_timeout_ms);
  read_on();
}

void Connection::refuse() {
  reject({503, Error{Code::busy, "the server has as many connections as it takes; try again later", {}}});
  read_on();
}

void Connection::drain() {
  const bool lingers = phase_ == Phase::ending && !writing_;
  if (phase_ == Phase::idle || lingers) return close();
  if (answer_ != Answer::feed) return;
  deadline_->start(kDrainLinger_ms);  // for who does not read
  if (!writing_) say_farewell();
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  leave_feed();
  socket_.reset();
  deadline_->stop();
  write_deadline_->stop();
  ping_timer_->stop();
  if (exchange_) {
    exchange_->client_left();
    end_exchange();
  }
  owner_.on_closed(*this);
}

// Reading.

void Connection::read_on() {
  if (phase_ == Phase::closed || eof_ || socket_->reading()) return;
  // Early bytes of a next request wait here; past the bound the client's own buffers must hold them.
  if (phase_ == Phase::answering && input_.size() >= owner_.options.header_bytes_max) return;
  socket_->read();
}

void Connection::on_bytes(std::string_view bytes) {
  if (phase_ == Phase::ending || answer_ == Answer::feed) return read_on();
  if (!reads_request()) {
    input_ += bytes;
  } else if (input_.empty()) {
    const std::size_t used = consume(bytes);
    input_ = bytes.substr(used);
  } else {
    input_ += bytes;
    input_.erase(0, consume(input_));
  }
  read_on();
}

std::size_t Connection::consume(std::string_view bytes) {
  std::size_t used = 0;
  while (reads_request()) {
    if (phase_ == Phase::idle) {
      // Old clients send a line break after a body.
      while (used < bytes.size() && (bytes[used] == '\r' || bytes[used] == '\n')) ++used;
      if (used == bytes.size()) break;
      begin_request();
    }
    if (used == bytes.size()) break;
    const auto step = reader_->feed(bytes.substr(used));
    if (!step) {
      reject(step.error());
      return bytes.size();
    }
    used += step->used;
    if (phase_ == Phase::body && step->used > 0) deadline_->start(owner_.options.body_timeout_ms);
    if (step->progress == RequestReader::Progress::more) break;
    if (step->progress == RequestReader::Progress::done) {
      dispatch();
    } else {
      begin_body(used < bytes.size());
    }
  }
  return used;
}

void Connection::begin_request() {
  phase_ = Phase::header;
  asked_.clear();
  reader_ = std::make_unique<RequestReader>(owner_.options.header_bytes_max, owner_.options.body_bytes_max);
  deadline_->start(owner_.options.header_timeout_ms);
}

void Connection::begin_body(bool body_is_here) {
  phase_ = Phase::body;
  deadline_->start(owner_.options.body_timeout_ms);
  if (!reader_->expects_continue() || body_is_here) return;
  pending_ += "HTTP/1.1 100 Continue\r\n\r\n";
  flush();
}

void Connection::dispatch() {
  phase_ = Phase::answering;
  deadline_->stop();
  answer_ = Answer::none;
  keep_alive_ = reader_->keep_alive();
  head_only_ = reader_->is_head();
  chunked_ = !reader_->is_http_1_0();
  Request request = reader_->take();
  request.peer = socket_->peer();
  asked_ = fmt::format("{} {}", shortened(request.method), shortened(request.path));

  exchange_ = std::make_shared<ExchangeState>();
  exchange_->loop = owner_.loop;
  exchange_->connection = weak_from_this();
  if (eof_) exchange_->client_left();
  try {
    owner_.handler(std::move(request), make_exchange(exchange_));
    return;
  } catch (const std::exception& e) {
    log::error("handler", {{"exception", e.what()}});
  } catch (...) {
    log::error("handler", {{"exception", "of an unknown type"}});
  }
  abandon();
}

void Connection::next_request() {
  phase_ = Phase::idle;
  reader_.reset();
  deadline_->start(owner_.options.idle_timeout_ms);
  if (input_.empty()) {
    shrink(input_);
  } else {
    input_.erase(0, consume(input_));
  }
  if (eof_ && reads_request()) return close();
  read_on();
}

void Connection::on_eof() {
  eof_ = true;
  if (reads_request()) return close();  // in the middle of a request at most
  if (phase_ == Phase::ending) {
    if (!writing_) close();
    return;
  }
  if (answer_ == Answer::complete) return;  // it is being written
  if (answer_ == Answer::stream || answer_ == Answer::feed) return close();
  exchange_->client_left();
}

void Connection::on_error() { close(); }

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::header: return reject({408, Error{Code::invalid, "the request header took too long to arrive", {}}});
    case Phase::body: return reject({408, Error{Code::invalid, "the request body stopped arriving", {}}});
    default: return close();
  }
}

// Answering.

std::string Connection::error_body(int status, const Error& error) const {
  if (owner_.options.error_body) {
    try {
      return owner_.options.error_body(status, error, reader_ ? reader_->path() : std::string_view());
    } catch (const std::exception& e) {
      log::error("error_body", {{"exception", e.what()}});
    }
  }
  return default_error_body(status, error);
}

// The connection cannot be trusted to be at the start of a request afterwards, so it ends.
void Connection::reject(const Rejection& why) {
  phase_ = Phase::ending;
  keep_alive_ = false;
  head_only_ = reader_ && reader_->is_head();
  shrink(input_);
  deadline_->start(kLinger_ms);
  Headers extra;
  if (why.status == 503) extra.emplace_back("Retry-After", "1");
  append_answer({.status = why.status, .content_type = "application/json"}, error_body(why.status, why.error), extra);
}

// What a client does after an error is often silent: it retries, or gives up. The log says that there was one.
void Connection::append_answer(AnswerHead head, std::string_view body, const Headers& extra) {
  if (head.status >= 400) log::info("refused", {{"status", head.status}, {"request", asked_}});
  if (owner_.draining) keep_alive_ = false;
  head.keep_alive = keep_alive_;
  head.http_1_0 = reader_ && reader_->is_http_1_0();
  if (has_body(head.status)) head.content_length = body.size();
  append_head(pending_, head, extra);
  if (has_body(head.status) && !head_only_) pending_ += body;
  flush();
}

void Connection::respond(int status, const std::string& content_type, std::string_view body, const Headers& extra) {
  if (phase_ != Phase::answering || answer_ != Answer::none) return;
  answer_ = Answer::complete;
  if (status < 200 || status > 999) status = 500;
  append_answer({.status = status, .content_type = content_type}, body, extra);
}

void Connection::start_stream(const Headers& extra, std::string_view ping) {
  if (phase_ != Phase::answering || answer_ != Answer::none) return;
  if (eof_) return close();
  answer_ = Answer::stream;
  if (owner_.draining || !chunked_) keep_alive_ = false;
  append_stream_head(extra);
  ping_ = ping;
  ping_timer_->start(owner_.options.ping_interval_ms);
  flush();
}

void Connection::append_stream_head(const Headers& extra) {
  AnswerHead head{.content_type = "text/event-stream", .chunked = chunked_};
  head.keep_alive = keep_alive_;
  Headers headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  headers.insert(headers.end(), extra.begin(), extra.end());
  append_head(pending_, head, headers);
}

// From here on there is no request: what was kept for one is let go, since there may be thousands of these.
void Connection::follow(std::shared_ptr<Feed> feed) {
  if (phase_ != Phase::answering || answer_ != Answer::none) return;
  if (eof_) return close();
  keep_alive_ = false;
  append_stream_head({});
  answer_ = head_only_ ? Answer::complete : Answer::feed;
  if (head_only_) return flush();
  reader_.reset();
  std::string().swap(input_);
  end_exchange();
  feed_ = std::move(feed);
  flush();
  feed_->add(*this);
}

void Connection::tell(SharedFeedText text) {
  std::string().swap(sending_);
  sent_ = 0;
  telling_ = std::move(text);
  writing_ = true;
  socket_->write(bytes_of(*telling_));
}

void Connection::give_up() { close(); }

void Connection::say_farewell() {
  const std::shared_ptr<Feed> feed = feed_;
  leave_feed();
  answer_ = Answer::complete;
  tell(feed->farewell());
}

void Connection::leave_feed() {
  if (const std::shared_ptr<Feed> feed = std::exchange(feed_, nullptr)) feed->remove(*this);
}

void Connection::append_chunk(std::string_view bytes) {
  if (head_only_) return;
  if (chunked_) fmt::format_to(std::back_inserter(pending_), "{:x}\r\n", bytes.size());
  pending_ += bytes;
  if (chunked_) pending_ += "\r\n";
}

void Connection::write(std::string_view bytes) {
  if (phase_ != Phase::answering) return;
  if (answer_ != Answer::stream || head_only_) return exchange_->count_sent(bytes.size());
  append_chunk(bytes);
  pending_counted_ += bytes.size();
  ping_timer_->start(owner_.options.ping_interval_ms);
  flush();
}

void Connection::ping() {
  if (phase_ != Phase::answering || answer_ != Answer::stream) return;
  ping_timer_->start(owner_.options.ping_interval_ms);
  if (writing_) return;  // the client is behind; more would only wait with the rest
  append_chunk(ping_);
  flush();
}

void Connection::finish() {
  if (phase_ != Phase::answering || answer_ != Answer::stream) return;
  answer_ = Answer::complete;
  ping_timer_->stop();
  if (chunked_ && !head_only_) pending_ += "0\r\n\r\n";
  flush();
  if (!writing_) all_sent();
}

void Connection::abandon() {
  if (phase_ != Phase::answering || answer_ == Answer::complete) return;
  // A stream cut short must not look finished, and who left gets no answer made up for them.
  if (answer_ == Answer::stream || exchange_->closed) return close();
  const Error error{Code::failed, "the server dropped this request without an answer; its log may say why", {}};
  respond(500, "application/json", error_body(500, error), {});
}

// Writing: one string is with the socket, the next one gathers what comes meanwhile.

void Connection::flush() {
  if (writing_ || phase_ == Phase::closed) return;
  if (sent_ == sending_.size()) {
    if (pending_.empty()) return;
    shrink(sending_);
    sent_ = 0;
    sending_.swap(pending_);
    sending_counted_ += std::exchange(pending_counted_, 0);
  }
  writing_ = true;
  if (!feed_) write_deadline_->start(owner_.options.write_timeout_ms);  // the feed gives up by itself
  socket_->write(std::string_view(sending_).substr(sent_));
}

void Connection::on_sent(std::size_t bytes) {
  if (telling_) {
    sent_ += bytes;
    const std::string_view rest = bytes_of(*telling_).substr(sent_);
    if (!rest.empty()) {
      if (feed_) feed_->took_some(*this);
      return socket_->write(rest);
    }
    telling_ = nullptr;
    sent_ = 0;
    writing_ = false;
    return all_sent();
  }
  writing_ = false;
  write_deadline_->stop();
  sent_ += bytes;
  const bool all_of_it = sent_ == sending_.size();
  // Framing is not counted, so a part is only nearly right; the whole is exact.
  const std::size_t counted = all_of_it ? sending_counted_ : std::min(bytes, sending_counted_);
  sending_counted_ -= counted;
  flush();
  const std::shared_ptr<ExchangeState> exchange = exchange_;
  if (exchange && counted > 0) exchange->count_sent(counted);
  if (!writing_) all_sent();
}

void Connection::all_sent() {
  if (phase_ == Phase::ending) return end_sending();
  if (feed_) return owner_.draining ? say_farewell() : feed_->was_told(*this);
  if (phase_ != Phase::answering || answer_ != Answer::complete) return;
  end_exchange();
  if (keep_alive_ && !owner_.draining) return next_request();
  phase_ = Phase::ending;
  shrink(input_);
  end_sending();
}

void Connection::end_sending() {
  if (eof_) return close();
  socket_->end_sending();
  deadline_->start(owner_.draining ? kDrainLinger_ms : kLinger_ms);
  read_on();
}

void Connection::end_exchange() {
  ping_timer_->stop();
  const std::shared_ptr<ExchangeState> exchange = std::exchange(exchange_, nullptr);
  if (exchange) exchange->end();
}

}  // namespace kvern::http
