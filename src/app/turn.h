// Carries one answer from the scheduler's streams to the client: drains steps, lets the dialect
// read them, encodes, writes, and stops taking when the client is slow.
//
// Lives from submission to the end of its exchange, whose callbacks hold it. Thread: net, except
// for start(), which the prep thread calls once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/frame.h"
#include "api/wire_error.h"
#include "base/result.h"
#include "core/generator.h"
#include "http/server.h"

namespace kvern::app {

// What differs between wire formats. Thread: net.
class TurnWriter {
 public:
  virtual ~TurnWriter() = default;
  // Frames before the first step of a streamed answer.
  virtual void begin(std::vector<api::Frame>& frames) = 0;
  virtual void step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) = 0;
  virtual void ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) = 0;
  // All choices have ended: the last frames of a streamed answer.
  virtual void done(const Usage& usage, std::vector<api::Frame>& frames) = 0;
  // A choice failed: the last frames of a streamed answer.
  virtual void failed(const Error& error, std::vector<api::Frame>& frames) = 0;
  // The whole body of an unstreamed one.
  virtual std::string body(const Usage& usage) = 0;
};

struct TurnOptions {
  bool streamed = false;
  api::Wire wire = api::Wire::openai;  // of errors and pings
  std::size_t choices_per_prompt = 1;  // choices are numbered prompt-major
  http::Headers headers = {};          // of the answer
};

class Turn : public std::enable_shared_from_this<Turn> {
 public:
  Turn(std::shared_ptr<http::Exchange> exchange, std::unique_ptr<TurnWriter> writer, TurnOptions options);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // Submits one request a choice and begins to answer. On an error nothing was answered yet and
  // what was submitted is cancelled.
  Status start(Generator& generator, std::vector<GenerateRequest> requests);

 private:
  struct Choice {
    std::shared_ptr<Stream> stream;
    bool ended = false;
  };

  void pump();
  void pump_choice(std::size_t index);
  void add_usage(std::size_t index, const Usage& usage);
  void finish();
  void send();
  void cancel();

  std::shared_ptr<http::Exchange> exchange_;
  std::unique_ptr<TurnWriter> writer_;
  const bool streamed_;
  const api::Wire wire_;
  const std::size_t choices_per_prompt_;
  const http::Headers headers_;
  bool begun_ = false;  // the answer's head is out; steps that came before wait
  bool over_ = false;
  std::vector<Choice> choices_;
  std::vector<Step> steps_;
  std::vector<api::Frame> frames_;
  Usage usage_;
  Error error_;  // of a choice that failed
  bool failed_ = false;
};

}  // namespace kvern::app
