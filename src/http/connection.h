// One client's connection: reads a request, hands it to the handler, writes the answer, goes on.
//
// A read is pending also while an answer is produced, so a client that leaves is seen at once; what
// it sends meanwhile is kept for the next request, up to a bound. An end of its sending side counts
// as having left, but a plain answer that comes nevertheless is written: it may still listen.
//
// Thread: net.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/answer.h"
#include "http/exchange.h"
#include "http/feed.h"
#include "http/loop.h"
#include "http/request_reader.h"
#include "http/server.h"

namespace kvern::http {

// What all connections of one server share. Outlives them.
struct ConnectionOwner {
  std::shared_ptr<Loop> loop;
  Options options;
  Handler handler;
  bool draining = false;
  // The connection is closed. It may still be on the stack, so it is destroyed later.
  std::function<void(Connection&)> on_closed;
};

class Connection final : public std::enable_shared_from_this<Connection>, private SocketEvents, private FeedFollower {
 public:
  Connection(ConnectionOwner& owner, std::unique_ptr<Socket> socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void refuse();  // instead of start(): too many connections, 503
  void drain();   // closes now when nothing runs, after the answer otherwise; a feed is told farewell
  void close();   // at once

  // The exchange's calls. Those that make no sense (a second answer) are ignored.
  void respond(int status, const std::string& content_type, std::string_view body, const Headers& extra);
  void start_stream(const Headers& extra, std::string_view ping);
  void follow(std::shared_ptr<Feed> feed);
  void write(std::string_view bytes);
  void finish();
  void abandon();  // nobody is left who could answer

 private:
  enum class Phase {
    idle,    // between requests
    header,  // a request has begun
    body,
    answering,  // the handler has it
    ending,     // the last bytes are on their way; what still comes is thrown away
    closed,
  };
  enum class Answer { none, stream, feed, complete };

  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_sent(std::size_t bytes) override;
  void on_error() override;

  // What a feed asks of it.
  bool busy() const override { return writing_; }
  void tell(SharedFeedText text) override;
  void give_up() override;

  void read_on();
  std::size_t consume(std::string_view bytes);  // returns how many bytes are dealt with
  void begin_request();
  void begin_body(bool body_is_here);
  void dispatch();
  void next_request();
  void reject(const Rejection& why);
  void on_deadline();

  bool reads_request() const { return phase_ == Phase::idle || phase_ == Phase::header || phase_ == Phase::body; }
  void append_answer(AnswerHead head, std::string_view body, const Headers& extra);
  void append_stream_head(const Headers& extra);
  void append_chunk(std::string_view bytes);
  void ping();
  void say_farewell();
  void leave_feed();
  std::string_view bytes_of(const FeedText& text) const { return chunked_ ? text.chunked() : text.plain(); }
  void flush();
  void all_sent();
  void end_sending();
  void end_exchange();
  std::string error_body(int status, const Error& error) const;

  ConnectionOwner& owner_;
  std::unique_ptr<Socket> socket_;
  Phase phase_ = Phase::idle;
  bool eof_ = false;                 // the client sends nothing more
  bool keep_alive_ = true;           // after this answer
  std::unique_ptr<Timer> deadline_;  // of the phase
  std::unique_ptr<Timer> write_deadline_;
  std::unique_ptr<Timer> ping_timer_;
  std::string_view ping_;  // what it sends

  std::string input_;  // received and not yet dealt with
  std::unique_ptr<RequestReader> reader_;

  std::shared_ptr<ExchangeState> exchange_;  // while answering
  std::string asked_;                        // "POST /v1/..." of the request that came last, for the log
  Answer answer_ = Answer::none;
  bool chunked_ = false;
  bool head_only_ = false;  // the answer to HEAD: bodies are counted and thrown away

  std::shared_ptr<Feed> feed_;  // followed; nothing else comes on this connection
  SharedFeedText telling_;      // the socket has it instead of sending_

  std::string sending_;  // the socket has it; taken up to sent_
  std::size_t sent_ = 0;
  bool writing_ = false;
  std::string pending_;              // goes next
  std::size_t sending_counted_ = 0;  // of unsent_bytes
  std::size_t pending_counted_ = 0;
};

}  // namespace kvern::http
