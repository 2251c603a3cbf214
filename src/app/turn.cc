#include "app/turn.h"

#include <utility>

#include "app/answer.h"
#include "base/limits.h"
#include "http/sse.h"

namespace kvern::app {
namespace {

// Claude Code's watchdog is reset by any byte; its SDK knows the event and nothing of comments.
constexpr std::string_view kAnthropicPing = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

std::string_view ping_of(api::Wire wire) { return wire == api::Wire::anthropic ? kAnthropicPing : http::kSsePing; }

}  // namespace

Turn::Turn(std::shared_ptr<http::Exchange> exchange, std::unique_ptr<TurnWriter> writer, TurnOptions options)
    : exchange_(std::move(exchange)),
      writer_(std::move(writer)),
      streamed_(options.streamed),
      wire_(options.wire),
      choices_per_prompt_(options.choices_per_prompt),
      headers_(std::move(options.headers)) {}

Turn::~Turn() { cancel(); }

Status Turn::start(Generator& generator, std::vector<GenerateRequest> requests) {
  const std::weak_ptr<Turn> weak = weak_from_this();
  const std::weak_ptr<http::Exchange> exchange = exchange_;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto stream = std::make_shared<Stream>(limits::kStreamSteps);
    stream->on_ready = [weak, exchange] {
      if (const auto alive = exchange.lock()) {
        alive->run_on_net([weak] {
          if (const auto turn = weak.lock()) turn->pump();
        });
      }
    };
    choices_.push_back({std::move(stream), false});
  }
  // From now on: a constraint may take seconds to compile. Weak, for nobody may ever answer what is not submitted.
  exchange_->on_close([weak] {
    if (const auto turn = weak.lock()) turn->cancel();
  });
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (Status submitted = generator.submit(std::move(requests[i]), choices_[i].stream); !submitted) {
      for (const Choice& choice : choices_) choice.stream->cancel();  // begun_ is false: net touches nothing
      return submitted;
    }
  }
  // From here on the exchange keeps the turn alive, until it is over.
  const auto self = shared_from_this();
  exchange_->run_on_net([self] {
    self->begun_ = true;
    self->exchange_->on_close([self] { self->cancel(); });
    self->exchange_->on_room([self] { self->pump(); });
    if (self->streamed_) {
      self->exchange_->start_stream(self->headers_, ping_of(self->wire_));
      self->writer_->begin(self->frames_);
      self->send();
    }
    self->pump();
  });
  return {};
}

void Turn::pump() {
  if (over_ || !begun_) return;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (streamed_ && exchange_->unsent_bytes() > limits::kStreamBufferBytes) return;  // on_room goes on
    pump_choice(i);
  }
  for (const Choice& choice : choices_) {
    if (!choice.ended) return;
  }
  finish();
}

void Turn::pump_choice(std::size_t index) {
  Choice& choice = choices_[index];
  if (choice.ended) return;
  steps_.clear();
  const auto ending = choice.stream->take(steps_);
  for (const Step& step : steps_) writer_->step(index, step, frames_);
  if (ending) {
    choice.ended = true;
    writer_->ending(index, *ending, frames_);
    add_usage(index, ending->usage);
    if (ending->reason == FinishReason::failed && !failed_) {
      failed_ = true;
      error_ = ending->error;
    }
  }
  if (streamed_) send();
}

// The choices of one prompt share it: it counts once, as its first choice found it. Reasons and
// times are the first choice's.
void Turn::add_usage(std::size_t index, const Usage& usage) {
  usage_.completion_tokens += usage.completion_tokens;
  usage_.forced_tokens += usage.forced_tokens;
  usage_.drafted_tokens += usage.drafted_tokens;
  usage_.accepted_tokens += usage.accepted_tokens;
  if (index % choices_per_prompt_ == 0) {
    usage_.prompt_tokens += usage.prompt_tokens;
    usage_.reused_device_tokens += usage.reused_device_tokens;
    usage_.reused_memory_tokens += usage.reused_memory_tokens;
    usage_.reused_disk_tokens += usage.reused_disk_tokens;
    usage_.pending_tokens += usage.pending_tokens;
  }
  if (index == 0) {
    usage_.why = usage.why;
    usage_.queue_us = usage.queue_us;
    usage_.ttft_us = usage.ttft_us;
    usage_.decode_us = usage.decode_us;
  }
}

void Turn::finish() {
  over_ = true;
  if (streamed_) {
    if (failed_) {
      writer_->failed(error_, frames_);
    } else {
      writer_->done(usage_, frames_);
    }
    send();
    exchange_->finish();
  } else if (failed_) {
    answer_error(*exchange_, error_, wire_);
  } else {
    exchange_->respond(200, "application/json", writer_->body(usage_), headers_);
  }
}

void Turn::send() {
  if (frames_.empty()) return;
  std::string bytes;
  for (const api::Frame& frame : frames_) http::append_sse(bytes, frame.event, frame.data);
  frames_.clear();
  exchange_->write(std::move(bytes));
}

void Turn::cancel() {
  over_ = true;
  for (const Choice& choice : choices_) {
    if (!choice.ended) choice.stream->cancel();
  }
}

}  // namespace kvern::app
