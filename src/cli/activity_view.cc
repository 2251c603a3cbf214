#include "cli/activity_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

constexpr std::size_t kNewsMax = 1'000;  // kept for who does not ask
constexpr std::size_t kBarColumns = 12;
constexpr std::size_t kIdColumns = 18;

double number(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? std::max(found->get<double>(), 0.0) : 0;
}

std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? without_controls(found->get<std::string>()) : std::string();
}

const Json& member(const Json& object, const char* name) {
  static const Json kNothing = Json::object();
  const auto found = object.find(name);
  return found != object.end() ? *found : kNothing;
}

std::string count(double tokens) {
  if (tokens < 10'000) return fmt::format("{:.0f}", tokens);
  if (tokens < 1e6) return fmt::format("{:.1f}k", tokens / 1e3);
  return fmt::format("{:.2f}M", tokens / 1e6);
}

std::string bytes(double value) { return fmt::format("{:.1f} GiB", value / (1 << 30)); }

std::string duration(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.0f} min", seconds / 60);
}

// Rounded down: "100 %" is everything.
std::string percent(double part, double whole) {
  return fmt::format("{:.0f} %", whole > 0 ? std::floor(100 * std::min(part / whole, 1.0)) : 0);
}

std::string paint(std::string_view what, std::string_view code, bool colour) {
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, what) : std::string(what);
}

// Padded by columns, which the formatting library counts in its own way.
std::string padded(const std::string& what, std::size_t columns) {
  const auto taken = static_cast<std::size_t>(
      std::count_if(what.begin(), what.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  return what + std::string(columns - std::min(columns, taken), ' ');
}

// What was held is dark, what was computed lighter.
std::string bar(double reused, double computed, double whole) {
  const auto columns = [&](double part) {
    return static_cast<std::size_t>(whole > 0 ? std::min(part / whole, 1.0) * kBarColumns : 0);
  };
  const std::size_t dark = columns(reused);
  const std::size_t done = std::max(columns(reused + computed), dark);
  std::string out;
  for (std::size_t i = 0; i < kBarColumns; ++i) out += i < dark ? "▓" : i < done ? "▒" : "░";
  return out;
}

std::string end_line(const std::string& id, const Json& data) {
  const Json& usage = member(data, "usage");
  const double prompt = number(usage, "prompt_tokens");
  const double reused = number(usage, "reused_device_tokens") + number(usage, "reused_memory_tokens") +
                        number(usage, "reused_disk_tokens");
  std::string line =
      fmt::format("{} {} prompt={} reused={}", id, text(data, "finish"), count(prompt), percent(reused, prompt));
  if (const std::string why = text(data, "why"); !why.empty()) line += fmt::format(" ({})", why);
  const double out = number(usage, "completion_tokens");
  if (out > 0) line += fmt::format(" ttft={}", duration(number(usage, "ttft_ms") / 1e3));
  line += fmt::format(" out={}", count(out));
  if (const double rate = number(data, "tokens_per_s"); rate > 0) line += fmt::format(" @{:.1f} tok/s", rate);
  return line + fmt::format(" {}", duration(number(data, "age_s")));
}

}  // namespace

std::string cut(std::string_view text, std::size_t columns) {
  std::string out;
  std::size_t taken = 0;
  bool coloured = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\x1b') {
      const std::size_t end = std::min(text.find('m', at), text.size() - 1);
      out += text.substr(at, end + 1 - at);
      coloured = text.substr(at, end + 1 - at) != "\x1b[0m";
      at = end + 1;
      continue;
    }
    if (taken == columns) break;
    const std::size_t length = std::max<std::size_t>(utf8_sequence_length(text.substr(at)), 1);
    out += text.substr(at, length);
    at += length;
    ++taken;
  }
  if (coloured) out += "\x1b[0m";
  return out;
}

Status ActivityView::take(std::string_view event, std::string_view data, std::int64_t now_us) {
  TRY(const Json body, parse_json(data));
  if (!body.is_object()) return fail(Code::invalid, "an event's data is no JSON object");
  if (event == "stop") stopped_ = true;
  if (event == "end") {
    const std::string id = text(body, "id");
    requests_.erase(id);
    add_news(end_line(id, body), true);
  }
  if (event != "snapshot" && event != "change") return {};
  for (const auto& [name, value] : member(body, "totals").items()) {
    if (value.is_number()) totals_[name] = value.get<double>();
  }
  std::vector<std::string> ids;
  for (const Json& one : member(body, "requests")) {
    if (!one.is_object()) continue;
    const std::string id = ids.emplace_back(text(one, "id"));
    Request& known = requests_[id];
    Request now{text(one, "session"),
                text(one, "state"),
                text(one, "why"),
                number(one, "prompt_tokens"),
                number(one, "reused_tokens"),
                number(one, "computed_tokens"),
                number(one, "completion_tokens"),
                number(one, "tokens_max"),
                number(one, "age_s"),
                number(one, "tokens_per_s"),
                now_us};
    if (now.state != known.state) add_news(request_line(id, now, now_us, false), false);
    known = std::move(now);
  }
  if (event == "snapshot") {
    model_ = text(body, "model");
    forget_unless(ids);
  }
  return {};
}

void ActivityView::add_news(std::string line, bool is_end) {
  if (news_.size() == kNewsMax) news_.erase(news_.begin());
  news_.push_back({std::move(line), is_end});
}

void ActivityView::forget_unless(const std::vector<std::string>& ids) {
  std::erase_if(requests_,
                [&](const auto& entry) { return std::find(ids.begin(), ids.end(), entry.first) == ids.end(); });
}

std::vector<std::string> ActivityView::take_news() {
  std::vector<std::string> lines;
  for (News& news : std::exchange(news_, {})) lines.push_back(std::move(news.line));
  return lines;
}

std::vector<std::string> ActivityView::take_ends() {
  std::vector<std::string> lines;
  for (News& news : std::exchange(news_, {})) {
    if (news.is_end) lines.push_back(std::move(news.line));
  }
  return lines;
}

std::string ActivityView::server_line(bool colour) const {
  const auto total = [this](const char* name) {
    const auto found = totals_.find(name);
    return found != totals_.end() ? found->second : 0;
  };
  std::string work = fmt::format("{:.0f} running", total("running"));
  if (total("running") + total("waiting") == 0) work = "idle";
  if (total("waiting") > 0) work += fmt::format(", {:.0f} waiting", total("waiting"));
  std::string line = fmt::format("{} · {} · cells {}/{}", paint("kvern " + model_, "1", colour), work,
                                 count(total("cells_used")), count(total("cells")));
  if (total("ram_budget_bytes") > 0)
    line += fmt::format(" · RAM {} of {}", bytes(total("ram_bytes")), bytes(total("ram_budget_bytes")));
  if (total("disk_budget_bytes") > 0)
    line += fmt::format(" · disk {} of {}", bytes(total("disk_bytes")), bytes(total("disk_budget_bytes")));
  return line;
}

std::string ActivityView::request_line(const std::string& id, const Request& request, std::int64_t now_us,
                                       bool colour) const {
  const std::string name = padded(cut(id, kIdColumns), kIdColumns);
  const std::string who = padded(request.session.empty() ? "-" : request.session, 8);
  const bool decodes = request.state == "decode";
  const bool queued = request.state == "queued";
  const std::string state = paint(padded(request.state, 7), decodes ? "32" : queued ? "2" : "33", colour);
  const std::string age = duration(request.age_s + static_cast<double>(now_us - request.seen_us) / 1e6);
  std::string rest = fmt::format("prompt {}", count(request.prompt));
  if (!queued && !decodes)
    rest = fmt::format("{} {} of {}, {} reused", bar(request.reused, request.computed, request.prompt),
                       count(request.reused + request.computed), count(request.prompt), count(request.reused));
  if (decodes) {
    rest = fmt::format("out {}", count(request.completion));
    if (request.tokens_max > 0) rest += fmt::format(" of {}", count(request.tokens_max));
    rest += fmt::format(", prompt {}, {} reused", count(request.prompt), percent(request.reused, request.prompt));
  }
  if (!request.why.empty()) rest += fmt::format(" ({})", request.why);
  if (!queued && request.tokens_per_s > 0) rest += fmt::format(" · {:.1f} tok/s", request.tokens_per_s);
  return fmt::format("{} {} {} {} · {}", name, who, state, rest, age);
}

std::vector<std::string> ActivityView::lines(std::int64_t now_us, const Style& style) const {
  std::vector<std::string> lines = {cut(server_line(style.colour), style.columns)};
  std::vector<std::pair<const std::string*, const Request*>> sorted;
  for (const auto& [id, request] : requests_) sorted.emplace_back(&id, &request);
  const auto came_us = [](const Request& request) { return request.seen_us - std::llround(1e6 * request.age_s); };
  std::sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
    return std::pair(a.second->state == "queued", came_us(*a.second)) <
           std::pair(b.second->state == "queued", came_us(*b.second));
  });
  const std::size_t room = std::max<std::size_t>(style.rows, 2) - 1;
  const std::size_t shown = sorted.size() <= room ? sorted.size() : room - 1;
  for (std::size_t i = 0; i < shown; ++i)
    lines.push_back(cut("  " + request_line(*sorted[i].first, *sorted[i].second, now_us, style.colour), style.columns));
  if (shown < sorted.size()) lines.push_back(fmt::format("  and {} more", sorted.size() - shown));
  return lines;
}

}  // namespace kvern::cli
