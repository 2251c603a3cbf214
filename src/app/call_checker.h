// Checks finished tool calls against schemas that their grammar could not hold to in full.
//
// The answer is out by then: a wrong call is counted and logged, for whoever wonders why an agent
// stumbled. One thread of its own, so that no schema, however slow to check, holds up the network.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "app/metrics.h"
#include "base/bounded_queue.h"
#include "base/limits.h"
#include "constrain/lru.h"
#include "constrain/schema.h"

namespace kvern::app {

struct CallToCheck {
  std::string id;  // of the request, for the log
  std::string tool;
  std::string schema;
  std::string arguments;
};

// Thread: any.
class CallChecker {
 public:
  // The metrics must outlive it.
  explicit CallChecker(Metrics& metrics);
  // Checks what waits, then ends.
  ~CallChecker();

  // Counts the call as checked or invalid, soon; as unchecked when too many wait.
  void check(CallToCheck call);

 private:
  using Check = std::shared_ptr<const constrain::SchemaCheck>;  // null: no schema it could be

  void run();
  void check_now(const CallToCheck& call);
  Check check_for(const std::string& schema);

  Metrics& metrics_;
  BoundedQueue<CallToCheck> queue_;
  constrain::Lru<Check> checks_;  // by content of the schema; the thread's
  std::jthread thread_;
};

}  // namespace kvern::app
