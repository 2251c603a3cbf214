#include "agents/shell_text.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

#include "agents/agents.h"
#include "agents/parts.h"
#include "agents/test_request.h"

namespace kvern::agents {
namespace {

// What sh makes of a script.
std::string run_sh(const std::string& script) {
  FILE* pipe = ::popen(script.c_str(), "r");
  std::string out;
  std::array<char, 4096> chunk{};
  for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) out.append(chunk.data(), got);
  ::pclose(pipe);
  return out;
}

TEST(ShellText, EveryWordComesBackFromAShellAsItWas) {
  for (const std::string word : {"plain", "", "two words", "it's", "\"", "$HOME `id` \\", "a\nb\n", "*", "~", "-n",
                                 "€;&|<>()", "'", "''", "!", "#x", "a=b"}) {
    EXPECT_EQ(run_sh("printf '[%s]' " + shell_quote(word)), "[" + word + "]") << shell_quote(word);
  }
}

TEST(ShellText, TheKeyIsReadFromItsVariable) {
  const std::string word = shell_quote("{\"apiKey\":\"" + std::string(kKeyPlaceholder) + "\"}");
  EXPECT_EQ(run_sh("KVERN_API_KEY='s ecret'; printf %s " + word), "{\"apiKey\":\"s ecret\"}");
  EXPECT_EQ(shell_quote(kKeyPlaceholder), "\"${KVERN_API_KEY}\"");
}

// The name comes from a server, which need not be a friend.
TEST(ShellText, AModelsNameIsNeverRun) {
  LaunchRequest request = test_request();
  request.model = "x\necho caught; \r`echo caught`$(echo caught)'\"";
  for (const Agent& agent : all_agents()) {
    LaunchPlan plan = agent.plan(request);
    plan.files.clear();  // nothing is written by this test
    const Agent harmless = {agent.name, agent.title, "true", agent.install, agent.page, agent.plan};
    EXPECT_EQ(run_sh(as_shell(harmless, request, plan)), "") << agent.name;
    EXPECT_EQ(run_sh(as_exports(request, plan)), "") << agent.name;
  }
}

TEST(ShellText, ExportsLeaveOutWhatNamesATemporaryFile) {
  const LaunchRequest request = test_request();
  const std::string text = as_exports(request, plan_qwen(request));
  EXPECT_NE(text.find("export OPENAI_MODEL=Coder\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("/tmp/kvern-x"), std::string::npos) << text;
  EXPECT_NE(as_exports(request, plan_claude(request)).find("export ANTHROPIC_API_KEY=\n"), std::string::npos);
}

TEST(ShellText, AsJsonIsOneObjectWithoutTheKey) {
  LaunchRequest request = test_request({}, {"a b"});
  request.api_key = kKeyPlaceholder;
  const Json object = parse_json(as_json(*find_agent("opencode"), request, plan_opencode(request))).value();
  EXPECT_EQ(object["argv"], Json({"opencode", "a b"}));
  EXPECT_EQ(object["server"]["context"], 65'536);
  EXPECT_NE(object["set"]["OPENCODE_CONFIG_CONTENT"].get<std::string>().find("${KVERN_API_KEY}"), std::string::npos);
}

}  // namespace
}  // namespace kvern::agents
