// The part of an exchange that other threads hold. Connection does the work on the net thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "http/loop.h"
#include "http/server.h"

namespace kvern::http {

class Connection;

struct ExchangeState {
  std::shared_ptr<Loop> loop;

  // Thread: any.
  std::atomic<std::size_t> unsent_bytes{0};
  std::atomic<bool> closed{false};      // the client left before the answer was complete
  std::atomic<bool> wants_room{false};  // unsent_bytes was above the bound since the last on_room

  // Thread: net.
  std::weak_ptr<Connection> connection;  // expires or is reset when the exchange is over
  bool over = false;
  std::function<void()> on_room;
  std::function<void()> on_close;

  void count_sent(std::size_t bytes);  // calls on_room when there is room again
  void client_left();                  // calls on_close, once
  void end();                          // drops the callbacks; later calls do nothing
};

// Destroying it without a complete answer tells the connection so.
std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state);

}  // namespace kvern::http
