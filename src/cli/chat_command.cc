#include "cli/chat_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "cli/conversation.h"
#include "cli/event_feed.h"
#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/server_link.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/words.h"
#include "http/client.h"

namespace kvern::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"prompt", 'p', "TEXT", "CHAT", "answer this one question and leave"},
    Flag{"system", 's', "TEXT", "CHAT", "the system prompt"},
    Flag{"max-tokens", 0, "N", "CHAT", "the longest an answer may be"},
    Flag{"temperature", 0, "X", "CHAT", "0 for the likeliest answer each time"},
    Flag{"server", 0, "URL", "SERVER", "default: http://127.0.0.1:8080, or one of its own if nobody listens there"},
    Flag{"unix-socket", 0, "PATH", "SERVER", "a server listening on a socket"},
    Flag{"api-key", 0, "KEY", "SERVER", "better kept in KVERN_API_KEY"},
    Flag{"model", 'm', "PATH", "SERVER", "start a server of its own with this model"},
};

constexpr Command kCommand = {"chat", "Talks to a model in the terminal.", kFlags,
                              "  kvern chat\n"
                              "  kvern chat -p \"What is a prefix tree?\"\n"
                              "  git diff | kvern chat -s \"Write a commit message for this diff.\""};

constexpr int kLookAround_ms = 50;          // how soon Ctrl-C is heard while the server is silent
constexpr int kAnswerTimeout_ms = 600'000;  // a long prompt on a small machine is silent for minutes

constexpr std::string_view kHelp =
    "/reset         forget the conversation\n"
    "/system TEXT   change the system prompt\n"
    "/help          this list\n"
    "/exit          leave (Ctrl-D, too)\n"
    "Ctrl-C stops an answer; twice leaves.";

volatile std::sig_atomic_t g_interrupts = 0;
volatile std::sig_atomic_t g_own_server = 0;  // its process group

// The first Ctrl-C only counts: whoever waits looks at the count and sets it back. A second while
// it is still set ends everything, whatever hangs.
extern "C" void on_interrupt(int) {
  if (g_interrupts >= 1) {
    if (g_own_server > 0) ::kill(-g_own_server, SIGTERM);
    ::_exit(kInterrupted);
  }
  g_interrupts = g_interrupts + 1;
}

void listen_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: reads return, so that the loop can look
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a closed stdout is an answer of put(), not the end
}

struct Chat {
  std::string address;
  std::string api_key;
  Conversation conversation;
  Conversation::Options options;
};

// Prints pieces as they come, and remembers them.
class AnswerPrinter {
 public:
  // False: stop.
  bool take(std::string_view data) {
    auto piece = read_piece(data);
    if (!piece) {
      error_ = std::move(piece.error());
      return false;
    }
    if (piece->usage) usage_ = piece->usage;
    if (!piece->reasoning.empty() && is_terminal(STDERR_FILENO) && is_terminal(STDOUT_FILENO)) {
      put(styled(without_controls(piece->reasoning), Style::dim, STDOUT_FILENO));
      reasoned_ = true;
    }
    if (!piece->reasoning.empty() || !piece->text.empty()) mark();
    if (!piece->text.empty()) {
      if (answer_.empty() && reasoned_) put("\n\n");
      answer_ += piece->text;
      if (!put(is_terminal(STDOUT_FILENO) ? without_controls(piece->text) : piece->text)) return false;
    }
    return g_interrupts == 0;
  }

  void finish() const {
    if (!answer_.empty() && answer_.back() != '\n') put("\n");
    if (!usage_ || !is_terminal(STDERR_FILENO) || !is_terminal(STDOUT_FILENO)) return;
    const std::chrono::duration<double> ttft = first_.value_or(start_) - start_;
    const std::chrono::duration<double> decode = last_ - first_.value_or(last_);
    say(styled(usage_line(*usage_, ttft.count(), decode.count()), Style::dim, STDERR_FILENO));
  }

  const std::string& answer() const { return answer_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  void mark() {
    last_ = std::chrono::steady_clock::now();
    if (!first_) first_ = last_;
  }

  std::string answer_;
  bool reasoned_ = false;
  std::optional<TurnUsage> usage_;
  std::optional<Error> error_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> first_;
  std::chrono::steady_clock::time_point last_ = start_;
};

// One turn. Code::cancelled after Ctrl-C; what was heard until then stays in the conversation.
Status answer(Chat& chat, std::string question) {
  chat.conversation.ask(std::move(question));
  http::ClientRequest request;
  request.address = chat.address;
  request.method = "POST";
  request.target = "/v1/chat/completions";
  request.headers = headers_with_key(chat.api_key);
  request.headers.emplace_back("content-type", "application/json");
  request.body = chat.conversation.request_body(chat.options);
  request.timeout_ms = kAnswerTimeout_ms;
  AnswerPrinter printer;
  EventFeed feed(std::move(request), limits::kUnreadAnswerBytes);
  EventFeed::Got got = EventFeed::Got::nothing_yet;
  bool wanted = true;
  for (EventFeed::Event event; wanted && got != EventFeed::Got::end;) {
    got = feed.next(event, kLookAround_ms);
    wanted = got == EventFeed::Got::data ? printer.take(event.data) : g_interrupts == 0;
  }
  printer.finish();
  chat.conversation.answered(printer.answer());
  if (g_interrupts > 0) return fail(Code::cancelled, "stopped");
  if (printer.error()) return tl::unexpected(*printer.error());
  if (!wanted) return fail(Code::cancelled, "nobody reads the answer");
  const Result<http::ClientResponse>& response = feed.ending();
  if (!response) return tl::unexpected(response.error());
  if (response->status != 200) return tl::unexpected(refused(response->status, response->body));
  return {};
}

// A line that begins with a slash. False: leave.
bool obey(Chat& chat, const std::string& line) {
  const std::string word = line.substr(0, line.find(' '));
  const std::string rest = line.size() > word.size() ? line.substr(word.size() + 1) : "";
  if (word == "/exit" || word == "/quit") return false;
  if (word == "/reset") {
    chat.conversation.reset();
    say("the conversation is empty");
  } else if (word == "/system") {
    chat.conversation.set_system(rest);
    say(rest.empty() ? "no system prompt any more" : "system prompt set");
  } else {
    if (word != "/help") say(fmt::format("there is no {}", word));
    say(kHelp);
  }
  return true;
}

int converse(Chat& chat) {
  say(styled(fmt::format("{} at {}   /help lists the commands", chat.options.model, chat.address), Style::dim,
             STDERR_FILENO));
  LineReader lines(STDIN_FILENO);
  std::string line;
  bool warned = false;
  for (;;) {
    put(styled("> ", Style::bold, STDOUT_FILENO));
    const LineReader::Got got = lines.next(line);
    if (got == LineReader::Got::end) {
      put("\n");
      return kOk;
    }
    if (got == LineReader::Got::interrupted) {
      if (warned) return kInterrupted;
      say("\nCtrl-C again leaves; so does /exit");
      warned = true;
      g_interrupts = 0;
      continue;
    }
    warned = false;
    if (line.empty()) continue;
    if (line.front() == '/') {
      if (!obey(chat, line)) return kOk;
      continue;
    }
    const Status status = answer(chat, line);
    if (!status && status.error().code == Code::cancelled) {
      say(styled("\nstopped", Style::dim, STDERR_FILENO));
      warned = true;
      g_interrupts = 0;
    } else if (!status) {
      say_error(status.error());
    }
  }
}

struct Target {
  std::string address;
  std::optional<OwnServer> own;
};

Result<Target> start_own(const std::string& model) {
  TRY(OwnServer server, OwnServer::start({.model = model, .context = {}}));
  g_own_server = server.pid();
  if (is_terminal(STDERR_FILENO)) say(styled("starting a server for this chat ...", Style::dim, STDERR_FILENO));
  TRY_OK(server.wait_until_ready(g_interrupts));
  Target target{server.address(), std::nullopt};
  target.own.emplace(std::move(server));
  return target;
}

// A server named by the user must be there; the usual address may be empty, then we bring our own.
// KVERN_MODEL is no wish for a server of our own: it is there for `kvern serve`.
Result<Target> find_server(const Settings& settings, const FlagValues& flags) {
  if (flags.contains("model")) {
    if (!flags.contains("server") && !flags.contains("unix-socket")) return start_own(settings.text("model"));
    return fail(Code::invalid, "a running server has its model already; give --model or a server, not both", "--model");
  }
  const bool socket = settings.find("unix-socket") != nullptr && !flags.contains("server");
  const std::string server = settings.text("server", kUsualServer);
  const std::string address = socket ? "unix:" + settings.text("unix-socket") : server;
  const bool named = socket || settings.find("server") != nullptr;
  if (const auto health = ask_health(address, 2'000)) return Target{address, std::nullopt};
  if (!named) return start_own("");
  return fail(Code::not_found, fmt::format("no server answers at {}; start one with `kvern serve`", address),
              settings.origin(socket ? "unix-socket" : "server"));
}

Result<Chat> make_chat(const Settings& settings, const Target& target) {
  Chat chat;
  chat.address = target.address;
  chat.api_key = settings.text("api-key");
  chat.conversation.set_system(settings.text("system"));
  if (settings.find("max-tokens")) {
    TRY(chat.options.tokens_max, settings.integer("max-tokens", 0, 1, INT32_MAX));
  }
  if (settings.find("temperature")) {
    chat.options.temperature = parse_decimal(settings.text("temperature"));
    if (!chat.options.temperature) {
      return fail(Code::invalid, "the temperature is a number such as 0.7", settings.origin("temperature"));
    }
  }
  TRY(const ServedModel served, first_model(chat.address, chat.api_key));
  chat.options.model = served.id;
  return chat;
}

Result<int> chat_with(const Settings& settings, const FlagValues& flags) {
  std::string question = settings.text("prompt");
  const bool piped = question.empty() && !is_terminal(STDIN_FILENO);
  if (piped) {
    question = read_all(STDIN_FILENO).value_or("");
    if (question.empty())
      return fail(Code::invalid, "nothing was asked: use -p TEXT, or pipe a question in", "--prompt");
  }
  TRY(const Target target, find_server(settings, flags));
  TRY(Chat chat, make_chat(settings, target));
  if (question.empty()) return converse(chat);
  TRY_OK(answer(chat, std::move(question)));
  return kOk;
}

Result<int> chat(std::span<const std::string> arguments) {
  TRY(const FlagValues flags, parse_flags(kCommand, arguments));
  if (flags.contains("help")) {
    put(help_text(kCommand));
    return kOk;
  }
  TRY(const Settings settings, gather_settings(kCommand, flags, process_environment()));
  listen_for_interrupts();
  return chat_with(settings, flags);
}

}  // namespace

int chat_command(std::span<const std::string> arguments) {
  const Result<int> status = chat(arguments);
  if (status) return *status;
  if (status.error().code != Code::cancelled) say_error(status.error());
  return exit_code(status.error());
}

}  // namespace kvern::cli
