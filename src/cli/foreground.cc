#include "cli/foreground.h"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "cli/child_process.h"

namespace kvern::cli {
namespace {

volatile int g_held = 0;
volatile int g_last = 0;
volatile pid_t g_child = 0;

// Ctrl-C in a terminal reaches the whole foreground group, so the program has it already; one that
// another process sent has reached us alone.
bool came_from_a_process(const siginfo_t* info) {
  return info == nullptr || info->si_code <= 0 || info->si_code == SI_USER;
}

void on_signal(int number, siginfo_t* info, void*) {
  const int saved = errno;
  g_last = number;
  g_held = g_held + 1;
  if (g_child > 0 && came_from_a_process(info)) ::kill(g_child, number);
  errno = saved;
}

}  // namespace

void hold_signals() {
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;  // without SA_RESTART: waits end, so that their loops can look
    ::sigaction(number, &action, nullptr);
  }
}

const volatile int& held_signals() { return g_held; }
int last_signal() { return g_last; }

Result<int> run_in_foreground(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  const int held_before = g_held;
  ChildSetup setup;
  setup.streams = Streams::ours;
  setup.environment = environment;
  TRY(const pid_t child, start_child(argv, setup));
  g_child = child;
  if (g_held != held_before) ::kill(child, g_last);  // came before g_child was there
  for (;;) {
    siginfo_t change{};
    // It stays there to be waited for: its number must not be another's while the handler knows it.
    const int failed = ::waitid(P_PID, static_cast<id_t>(child), &change, WEXITED | WSTOPPED | WNOWAIT);
    if (failed != 0 && errno == EINTR) continue;
    if (failed != 0 || change.si_code != CLD_STOPPED) break;
    siginfo_t stop{};
    if (::waitid(P_PID, static_cast<id_t>(child), &stop, WSTOPPED | WNOHANG) != 0 || stop.si_pid == 0) continue;
    ::raise(SIGSTOP);  // our shell waits for us, not for the program
    ::kill(child, SIGCONT);
  }
  g_child = 0;
  return wait_for_child(child);
}

}  // namespace kvern::cli
