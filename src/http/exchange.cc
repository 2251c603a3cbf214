#include "http/exchange.h"

#include <utility>

#include "http/connection.h"

namespace kvern::http {
namespace {

class NetExchange final : public Exchange {
 public:
  explicit NetExchange(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  NetExchange(const NetExchange&) = delete;
  NetExchange& operator=(const NetExchange&) = delete;

  ~NetExchange() override {
    on_connection([](Connection& connection) { connection.abandon(); });
  }

  void respond(int status, std::string content_type, std::string body, Headers extra) override {
    on_connection([status, type = std::move(content_type), text = std::move(body), headers = std::move(extra)](
                      Connection& connection) { connection.respond(status, type, text, headers); });
  }

  void start_stream(Headers extra, std::string_view ping) override {
    on_connection(
        [headers = std::move(extra), ping](Connection& connection) { connection.start_stream(headers, ping); });
  }

  void follow(std::shared_ptr<Feed> feed) override {
    on_connection([following = std::move(feed)](Connection& connection) { connection.follow(following); });
  }

  void write(std::string bytes) override {
    if (bytes.empty() || state_->closed) return;
    const std::size_t unsent = state_->unsent_bytes.fetch_add(bytes.size()) + bytes.size();
    // Before the bytes can be sent, or on_room could be missed.
    if (unsent >= limits::kStreamBufferBytes) state_->wants_room = true;
    on_connection([text = std::move(bytes)](Connection& connection) { connection.write(text); });
  }

  void finish() override {
    on_connection([](Connection& connection) { connection.finish(); });
  }

  std::size_t unsent_bytes() const override { return state_->unsent_bytes; }
  bool closed() const override { return state_->closed; }

  void run_on_net(std::function<void()> function) override { state_->loop->post(std::move(function)); }

  void on_room(std::function<void()> callback) override {
    state_->loop->post([state = state_, call = std::move(callback)]() mutable {
      if (!state->over && !state->closed) state->on_room = std::move(call);
    });
  }

  void on_close(std::function<void()> callback) override {
    state_->loop->post([state = state_, call = std::move(callback)]() mutable {
      if (state->closed) {
        call();
      } else if (!state->over) {
        state->on_close = std::move(call);
      }
    });
  }

 private:
  template <typename Action>
  void on_connection(Action action) {
    state_->loop->post([state = state_, act = std::move(action)] {
      if (const std::shared_ptr<Connection> connection = state->connection.lock()) act(*connection);
    });
  }

  const std::shared_ptr<ExchangeState> state_;
};

}  // namespace

void ExchangeState::count_sent(std::size_t bytes) {
  const std::size_t unsent = unsent_bytes.fetch_sub(bytes) - bytes;
  if (unsent >= limits::kStreamBufferBytes / 2 || !wants_room.exchange(false)) return;
  if (const auto call = on_room) run_guarded(call);
}

void ExchangeState::client_left() {
  if (over || closed.exchange(true)) return;
  on_room = nullptr;
  if (const auto call = std::exchange(on_close, nullptr)) run_guarded(call);
}

void ExchangeState::end() {
  over = true;
  connection.reset();
  // What they hold may hold this; it is let go only after both are gone from here.
  const auto room = std::exchange(on_room, nullptr);
  const auto close = std::exchange(on_close, nullptr);
}

std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state) {
  return std::make_shared<NetExchange>(std::move(state));
}

}  // namespace kvern::http
