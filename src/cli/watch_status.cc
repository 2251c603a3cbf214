#include "cli/watch_status.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "cli/activity_view.h"
#include "cli/conversation.h"
#include "cli/event_feed.h"
#include "cli/foreground.h"
#include "cli/server_link.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

constexpr int kRedraw_ms = 250;  // ages go on by themselves
constexpr int kLoadPoll_ms = 500;
constexpr int kHealthTimeout_ms = 2'000;
// The server shows life every 15 s.
constexpr int kSilence_ms = 45'000;

ActivityView::Style screen() {
  ActivityView::Style style;
  style.colour = has_colour(STDOUT_FILENO);
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    style.columns = size.ws_col;
    style.rows = size.ws_row - 1U;  // the cursor's line is below
  }
  return style;
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

bool interrupted() { return held_signals() > 0; }

// put(), which Ctrl-C ends, too: a pager may have stopped reading.
bool show_text(std::string_view text) { return put(text, interrupted); }

// Shows what is known; false when nobody reads it any more, or after Ctrl-C.
class Display {
 public:
  virtual ~Display() = default;
  virtual Result<bool> take(const EventFeed::Event& event) = 0;
  virtual bool show() { return true; }  // after the events that came together, and now and then
};

class JsonLines final : public Display {
 public:
  Result<bool> take(const EventFeed::Event& event) override {
    std::string line = "{\"event\":";
    append_json_string(line, event.name);
    // A line break can stand only between the parts of a document.
    std::string data = event.data;
    for (char& c : data) c = c == '\n' ? ' ' : c;
    return show_text(line + ",\"data\":" + data + "}\n");
  }
};

class PlainLines final : public Display {
 public:
  Result<bool> take(const EventFeed::Event& event) override {
    TRY_OK(view_.take(event.name, event.data, steady_clock().now_us()));
    std::string text;
    if (!begun_) text = view_.lines(steady_clock().now_us(), {.columns = 200, .rows = 1}).front() + "\n";
    begun_ = true;
    for (const std::string& line : view_.take_news()) text += fmt::format("{} {}\n", time_of_day(), line);
    return show_text(text);
  }

 private:
  ActivityView view_;
  bool begun_ = false;
};

// Every frame is one write that goes over the one before, line by line, so nothing flickers.
class Screen final : public Display {
 public:
  Result<bool> take(const EventFeed::Event& event) override {
    TRY_OK(view_.take(event.name, event.data, steady_clock().now_us()));
    known_ = true;
    return true;
  }

  bool show() override {
    if (!known_) return true;
    const ActivityView::Style style = screen();
    std::string frame = "\x1b[?2026h";  // terminals that know it show the frame when it is whole
    if (drawn_ > 0) frame += fmt::format("\x1b[{}A", drawn_);
    frame += '\r';
    for (const std::string& line : view_.take_ends())
      frame += cut(fmt::format("{} {}", time_of_day(), line), style.columns) + "\x1b[K\n";
    const std::vector<std::string> lines = view_.lines(steady_clock().now_us(), style);
    for (const std::string& line : lines) frame += line + "\x1b[K\n";
    drawn_ = lines.size();
    return show_text(frame + "\x1b[J\x1b[?2026l");
  }

 private:
  ActivityView view_;
  bool known_ = false;
  std::size_t drawn_ = 0;
};

Result<std::unique_ptr<Display>> make_display(WatchOptions::Form form) {
  if (form == WatchOptions::Form::json_lines) return std::make_unique<JsonLines>();
  const char* kind = std::getenv("TERM");
  const bool draws = is_terminal(STDOUT_FILENO) && !(kind && std::string_view(kind) == "dumb");
  if (draws) return std::make_unique<Screen>();
  return std::make_unique<PlainLines>();
}

// Until the server there has a model.
Status wait_for_model(const std::string& address) {
  for (bool told = false; !interrupted(); told = true) {
    const auto health = ask_health(address, kHealthTimeout_ms);
    if (!health)
      return fail(Code::not_found, fmt::format("no server answers at {}; start one with `kvern serve`", address));
    if (!health->is_loading) return {};
    if (!told) say("kvern loads its model; watching begins when it is there");
    std::this_thread::sleep_for(std::chrono::milliseconds(kLoadPoll_ms));
  }
  return {};
}

Error why_it_ended(const WatchOptions& options, bool stopped, const Result<http::ClientResponse>& ending) {
  if (stopped) return {Code::failed, fmt::format("the server at {} has stopped", options.address), {}};
  if (!ending) return {Code::failed, fmt::format("the server is gone: {}", ending.error().message), {}};
  if (ending->status == 404)
    return {Code::not_found, fmt::format("what answers at {} has no /kvern/events to watch", options.address), {}};
  if (ending->status != 200) return refused(ending->status, ending->body);
  return {Code::failed, fmt::format("the server at {} ended the stream", options.address), {}};
}

}  // namespace

Result<int> watch_status(const WatchOptions& options) {
  hold_signals();
  ::signal(SIGPIPE, SIG_IGN);  // a closed stdout is an answer of put()
  TRY_OK(wait_for_model(options.address));
  http::ClientRequest request;
  request.address = options.address;
  request.target = "/kvern/events?version=1";
  request.headers = headers_with_key(options.api_key);
  request.timeout_ms = kSilence_ms;
  TRY(const std::unique_ptr<Display> display, make_display(options.form));
  EventFeed feed(std::move(request), limits::kUnreadEventBytes);
  bool stopped = false;
  for (EventFeed::Event event; !interrupted();) {
    const EventFeed::Got got = feed.next(event, kRedraw_ms);
    if (got == EventFeed::Got::end) return tl::unexpected(why_it_ended(options, stopped, feed.ending()));
    if (got == EventFeed::Got::data) {
      stopped = stopped || event.name == "stop";
      TRY(const bool read, display->take(event));
      if (!read) break;
    }
    if (!display->show()) break;
  }
  return interrupted() ? 128 + last_signal() : 0;
}

}  // namespace kvern::cli
