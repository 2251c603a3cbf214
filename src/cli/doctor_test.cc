#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/system_memory.h"
#include "cli/doctor_checks.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(DoctorCpu, FailsWhenTheBinaryUsesWhatTheProcessorLacks) {
  const std::string cpuinfo = "processor : 0\nflags\t\t: fpu sse4_2 avx avx2 fma f16c\nbugs : none\n";
  EXPECT_EQ(check_cpu(cpuinfo, "avx2 fma").verdict, Verdict::pass);
  const Check check = check_cpu(cpuinfo, "avx2 avx512f");
  EXPECT_EQ(check.verdict, Verdict::fail);
  EXPECT_THAT(check.message, HasSubstr("avx512f"));
  EXPECT_THAT(check.message, testing::Not(HasSubstr("avx2"))) << "only what is missing";
  EXPECT_EQ(check_cpu("flags : fpu sse2\n", "").verdict, Verdict::warn);
  EXPECT_EQ(check_cpu("", "avx2").verdict, Verdict::warn);
}

TEST(DoctorMemory, FailsWhenTheModelIsLargerThanWhatIsFree) {
  EXPECT_EQ(check_memory(8 * kGiB, 2 * kGiB).verdict, Verdict::pass);
  EXPECT_EQ(check_memory(8 * kGiB, 7 * kGiB + kGiB / 2).verdict, Verdict::warn);
  EXPECT_EQ(check_memory(8 * kGiB, 9 * kGiB).verdict, Verdict::fail);
  EXPECT_EQ(check_memory(std::nullopt, 0).verdict, Verdict::warn);
}

class Root {
 public:
  Root() {
    std::string path = testing::TempDir() + "kvern-doctor-XXXXXX";
    path_ = ::mkdtemp(path.data());
    write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable:    500 kB\n");
  }
  ~Root() { fs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(DoctorMemory, IsTheMachinesWithoutAControlGroup) {
  const Root root;
  EXPECT_EQ(available_memory(root.path()), 500U * 1024);
}

// A container sees the machine's /proc/meminfo; only the group knows what it may take.
TEST(DoctorMemory, AControlGroupAboveCountsAndFileCacheIsGivenBack) {
  const Root root;
  root.write("proc/self/cgroup", "0::/outer/inner\n");
  root.write("sys/fs/cgroup/outer/memory.max", "300000\n");
  root.write("sys/fs/cgroup/outer/memory.current", "250000\n");
  root.write("sys/fs/cgroup/outer/memory.stat", "anon 100\ninactive_file 100000\n");
  root.write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  EXPECT_EQ(available_memory(root.path()), 150'000U);
}

TEST(DoctorMemory, TheFirstVersionOfControlGroupsIsRead) {
  const Root root;
  root.write("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n");
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
  root.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "50000\n");
  EXPECT_EQ(available_memory(root.path()), 150'000U) << "inside a container only the root of the tree is there";
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(available_memory(root.path()), 500U * 1024) << "no limit";
}

TEST(DoctorCacheFolder, NeedNotExistYetButMustNotBeAFile) {
  const Root root;
  EXPECT_NE(check_cache_folder(root.path() / "not" / "there").verdict, Verdict::fail);
  EXPECT_FALSE(fs::exists(root.path() / "not")) << "doctor changes nothing";
  EXPECT_EQ(check_cache_folder(root.path() / "proc" / "meminfo" / "x").verdict, Verdict::fail);
  EXPECT_EQ(check_cache_folder(fail(Code::invalid, "no HOME")).verdict, Verdict::fail);
}

TEST(DoctorModel, AnAbsentDefaultModelIsOnlyAWarning) {
  std::uint64_t bytes = 0;
  EXPECT_EQ(check_model("", std::string("/nowhere/default.gguf"), bytes).verdict, Verdict::warn);
  EXPECT_EQ(check_model("x.gguf", std::string("/nowhere/x.gguf"), bytes).verdict, Verdict::fail);
  EXPECT_EQ(check_model("x", fail(Code::not_found, "there is no file x"), bytes).verdict, Verdict::fail);
}

// Something that holds a port and says nothing.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    socklen_t length = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST(DoctorPort, FailsWhenSomethingElseListensThere) {
  const Listener listener;
  const PortState state = look_at_port("127.0.0.1", listener.port());
  EXPECT_FALSE(state.is_free);
  EXPECT_EQ(check_port("127.0.0.1", listener.port(), state).verdict, Verdict::fail);
}

TEST(DoctorPort, AFreePortPassesAndARunningKvernIsFine) {
  PortState state;
  state.is_free = true;
  EXPECT_EQ(check_port("127.0.0.1", 1, state).verdict, Verdict::pass);
  EXPECT_EQ(check_server(state).verdict, Verdict::pass);
  state = {false, "in use", HealthAnswer{200, true, "coder"}};
  EXPECT_EQ(check_port("127.0.0.1", 1, state).verdict, Verdict::pass);
  EXPECT_THAT(check_server(state).message, HasSubstr("coder"));
  state.health->status = 503;
  EXPECT_EQ(check_server(state).verdict, Verdict::warn);
}

TEST(DoctorReport, JsonCarriesIdsVerdictsAndHints) {
  const std::vector<Check> checks = {{"cpu", Verdict::pass, "avx2", ""},
                                     {"port", Verdict::fail, "taken", "choose another"}};
  EXPECT_TRUE(any_failed(checks));
  const auto report = parse_json(report_json(checks));
  ASSERT_TRUE(report);
  EXPECT_EQ((*report)["ok"], false);
  EXPECT_EQ((*report)["checks"][1]["id"], "port");
  EXPECT_EQ((*report)["checks"][1]["status"], "fail");
  EXPECT_EQ((*report)["checks"][1]["hint"], "choose another");
  EXPECT_FALSE((*report)["checks"][0].contains("hint"));
}

TEST(DoctorReport, EndsWithOneSentenceThatSaysWhereWeStand) {
  std::vector<Check> checks = {{"cpu", Verdict::pass, "", ""}};
  EXPECT_EQ(closing_sentence(checks), "kvern is ready to serve.");
  checks.push_back({"model", Verdict::warn, "", ""});
  EXPECT_THAT(closing_sentence(checks), HasSubstr("look at: model"));
  checks.push_back({"port", Verdict::fail, "", ""});
  EXPECT_THAT(closing_sentence(checks), HasSubstr("cannot serve here yet: port"));
}

}  // namespace
}  // namespace kvern::cli
