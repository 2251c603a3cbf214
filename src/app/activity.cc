#include "app/activity.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

#include "base/hash.h"
#include "base/json_text.h"

namespace kvern::app {
namespace {

using schedule::RequestReport;

constexpr std::size_t kSessionDigits = 8;

struct SessionWord {
  std::string text;
};

// Writes the members of one object.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) { out_ += '{'; }

  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
  }
  void text_or_null(std::string_view name, std::string_view value) {
    if (value.empty()) return raw(name, "null");
    text(name, value);
  }
  template <typename Number>
  void number(std::string_view name, Number value) {
    key(name);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void decimal(std::string_view name, double value, int digits) {
    key(name);
    fmt::format_to(std::back_inserter(out_), "{:.{}f}", value, digits);
  }
  void raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
  }
  void end() { out_ += '}'; }

 private:
  void key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    fmt::format_to(std::back_inserter(out_), "\"{}\":", name);
  }

  std::string& out_;
  bool first_ = true;
};

std::string_view word(Priority priority) {
  switch (priority) {
    case Priority::interactive: return "interactive";
    case Priority::sub_agent: return "sub_agent";
    case Priority::background: return "background";
  }
  return "interactive";
}

std::string_view word(RequestReport::State state) {
  switch (state) {
    case RequestReport::State::queued: return "queued";
    case RequestReport::State::prefill: return "prefill";
    case RequestReport::State::decode: return "decode";
  }
  return "queued";
}

double seconds(std::int64_t us) { return static_cast<double>(us) / 1e6; }

// Who it is.
void add_identity(Members& members, const RequestReport& request, const std::string& model) {
  const std::string_view session = request.session;
  const std::size_t slash = session.find('/');
  members.text("id", request.id);
  members.text("model", model);
  members.text_or_null("session", session.substr(0, slash));
  members.text_or_null("agent", slash == std::string_view::npos ? "" : session.substr(slash + 1));
  members.text("class", word(request.priority));
}

void add_request(std::string& out, const RequestReport& request, const std::string& model) {
  Members members(out);
  add_identity(members, request, model);
  members.text("state", word(request.state));
  members.number("prompt_tokens", request.prompt_tokens);
  members.number("reused_tokens", request.reused_tokens);
  members.number("computed_tokens", request.computed_tokens);
  members.number("completion_tokens", request.completion_tokens);
  if (request.tokens_max) {
    members.number("tokens_max", *request.tokens_max);
  } else {
    members.raw("tokens_max", "null");
  }
  members.text_or_null("why", request.why ? to_string(*request.why) : "");
  members.decimal("age_s", seconds(request.age_us), 3);
  members.decimal("tokens_per_s", request.tokens_per_s, 1);
  members.end();
}

std::string totals_json(const ActivityTotals& totals) {
  std::string out;
  Members members(out);
  members.number("running", totals.running);
  members.number("waiting", totals.waiting);
  members.number("ended", totals.ended);
  members.number("cells_used", totals.cells_used);
  members.number("cells", totals.cells);
  members.number("ram_bytes", totals.ram_bytes);
  members.number("ram_budget_bytes", totals.ram_budget_bytes);
  members.number("disk_bytes", totals.disk_bytes);
  members.number("disk_budget_bytes", totals.disk_budget_bytes);
  members.end();
  return out;
}

std::string usage_json(const Usage& usage) {
  std::string out;
  Members members(out);
  members.number("prompt_tokens", usage.prompt_tokens);
  members.number("reused_device_tokens", usage.reused_device_tokens);
  members.number("reused_memory_tokens", usage.reused_memory_tokens);
  members.number("reused_disk_tokens", usage.reused_disk_tokens);
  members.number("computed_tokens", usage.computed_tokens());
  members.number("completion_tokens", usage.completion_tokens);
  members.number("forced_tokens", usage.forced_tokens);
  members.number("drafted_tokens", usage.drafted_tokens);
  members.number("accepted_tokens", usage.accepted_tokens);
  members.decimal("queue_ms", 1e3 * seconds(usage.queue_us), 3);
  members.decimal("ttft_ms", 1e3 * seconds(usage.ttft_us), 3);
  members.decimal("decode_ms", 1e3 * seconds(usage.decode_us), 3);
  members.end();
  return out;
}

}  // namespace

std::string session_name(const std::string& session, const std::string& secret) {
  if (session.empty()) return {};
  const auto name = [&](std::string_view text) {
    return to_hex(sha256(fmt::format("{} {}", secret, text))).substr(0, kSessionDigits);
  };
  const std::size_t slash = session.find('/');
  const std::string whole = name(std::string_view(session).substr(0, slash));
  return slash == std::string::npos ? whole : whole + "/" + name(session);
}

std::string SessionWords::of(const std::string& session) const {
  if (session.empty()) return {};
  if (const auto known = known_.find<SessionWord>(session)) return known->text;
  SessionWord made{session_name(session, secret_)};
  const std::size_t bytes = sizeof made + made.text.size();
  return known_.keep(session, std::move(made), bytes)->text;
}

std::string snapshot_json(const Activity& now, std::size_t bytes_max) {
  std::string requests = "[";
  std::size_t left_out = 0;
  std::string one;
  for (const RequestReport& request : now.requests) {
    one = requests.size() > 1 ? "," : "";
    add_request(one, request, now.model);
    if (left_out > 0 || requests.size() + one.size() > bytes_max) {
      ++left_out;
    } else {
      requests += one;
    }
  }
  requests += ']';
  std::string out;
  Members members(out);
  members.number("version", kActivityVersion);
  members.decimal("time", static_cast<double>(now.time_ms) / 1e3, 3);
  members.text("model", now.model);
  members.number("context", now.context);
  members.number("parallel", now.parallel);
  members.raw("totals", totals_json(now.totals));
  members.raw("requests", requests);
  members.number("left_out", left_out);
  members.end();
  return out;
}

std::string change_json(const Activity& now, const std::vector<const RequestReport*>& changed) {
  std::string requests = "[";
  for (const RequestReport* request : changed) {
    if (requests.size() > 1) requests += ',';
    add_request(requests, *request, now.model);
  }
  requests += ']';
  std::string out;
  Members members(out);
  members.decimal("time", static_cast<double>(now.time_ms) / 1e3, 3);
  members.raw("totals", totals_json(now.totals));
  members.raw("requests", requests);
  members.end();
  return out;
}

std::string end_json(const EndedRequest& ended, const std::string& model) {
  std::string out;
  Members members(out);
  add_identity(members, ended.report, model);
  members.text("finish", to_string(ended.finish));
  members.text_or_null("why", ended.report.why ? to_string(*ended.report.why) : "");
  members.decimal("age_s", seconds(ended.report.age_us), 3);
  const bool decoded = ended.usage.completion_tokens > 1;
  members.decimal("tokens_per_s", decoded ? ended.report.tokens_per_s : 0, 1);
  members.raw("usage", usage_json(ended.usage));
  members.end();
  return out;
}

bool differs(const RequestReport& before, const RequestReport& now) {
  return before.state != now.state || before.why != now.why || before.reused_tokens != now.reused_tokens ||
         before.computed_tokens != now.computed_tokens || before.completion_tokens != now.completion_tokens;
}

}  // namespace kvern::app
