#include "cli/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace kvern::cli {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become(char* const* arguments, char** variables, const ChildSetup& setup, int report_fd,
                         pid_t parent) {
  if (setup.group == Group::own) {
    ::setpgid(0, 0);
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);  // the parent was gone before the line above
#else
    (void)parent;
#endif
  }
  if (setup.streams == Streams::talk) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::dup2(setup.output_fd, STDERR_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  if (variables) environ = variables;
  ::execvp(arguments[0], arguments);
  const int reason = errno;
  [[maybe_unused]] const ssize_t written = ::write(report_fd, &reason, sizeof reason);
  ::_exit(127);
}

}  // namespace

std::string find_program(const std::string& name, const std::string& path_variable) {
  if (name.find('/') != std::string::npos) return name;
  std::size_t start = 0;
  while (start <= path_variable.size()) {
    const std::size_t end = std::min(path_variable.find(':', start), path_variable.size());
    const std::string folder = path_variable.substr(start, end - start);
    const std::string path = folder.empty() ? name : fmt::format("{}/{}", folder, name);
    struct stat facts {};
    if (::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && ::access(path.c_str(), X_OK) == 0) return path;
    start = end + 1;
  }
  return {};
}

Result<pid_t> start_child(const std::vector<std::string>& argv, const ChildSetup& setup) {
  const std::vector<char*> arguments = pointers(argv);
  std::vector<char*> variables = pointers(setup.environment);
  std::array<int, 2> report{};  // closed by a successful exec; else it carries errno
  if (::pipe(report.data()) != 0) return fail(Code::failed, fmt::format("no pipe: {}", std::strerror(errno)));
  for (const int fd : report) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0)
    become(arguments.data(), setup.environment.empty() ? nullptr : variables.data(), setup, report[1], parent);
  ::close(report[1]);
  int reason = child < 0 ? errno : 0;
  if (child > 0) {
    ssize_t got = 0;
    do {
      got = ::read(report[0], &reason, sizeof reason);
    } while (got < 0 && errno == EINTR);
    if (got != sizeof reason) reason = 0;
  }
  ::close(report[0]);
  if (reason == 0) return child;
  if (child > 0) wait_for_child(child);
  return fail(reason == ENOENT ? Code::not_found : Code::failed,
              fmt::format("{} cannot be started: {}", argv[0], std::strerror(reason)));
}

int exit_status(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

int wait_for_child(pid_t child) {
  int raw = 0;
  while (::waitpid(child, &raw, 0) < 0) {
    if (errno != EINTR) return 127;
  }
  return exit_status(raw);
}

bool child_runs(pid_t child, int& status) {
  int raw = 0;
  const pid_t ended = ::waitpid(child, &raw, WNOHANG);
  if (ended == 0) return true;
  status = ended == child ? exit_status(raw) : 127;
  return false;
}

Status run_child(const std::vector<std::string>& argv) {
  TRY(const pid_t child, start_child(argv, ChildSetup{}));
  const int status = wait_for_child(child);
  if (status == 0) return {};
  std::string line;
  for (const std::string& word : argv) line += (line.empty() ? "" : " ") + word;
  return fail(status == 128 + SIGINT ? Code::cancelled : Code::failed,
              fmt::format("`{}` ended with status {}", line, status));
}

}  // namespace kvern::cli
