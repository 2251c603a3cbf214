#include "agents/agents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "agents/parts.h"
#include "agents/test_request.h"

namespace kvern::agents {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// What a user has typed reaches the client word for word, and last: there it may overrule ours.
TEST(EveryAgent, PutsTheUsersArgumentsLastAndAsTheyWere) {
  const std::vector<std::string> words = {"-p", "it's a \"test\" $HOME\n", "", "--flag=a b"};
  for (const Agent& agent : all_agents()) {
    const LaunchPlan plan = agent.plan(test_request({}, words));
    ASSERT_GE(plan.arguments.size(), words.size()) << agent.name;
    const std::vector<std::string> tail(plan.arguments.end() - 4, plan.arguments.end());
    EXPECT_THAT(tail, ElementsAreArray(words)) << agent.name;
  }
}

// Every address in a plan is the server's, and every file lies in the private folder.
TEST(EveryAgent, PointsAtTheServerAndWritesOnlyBelowItsFolder) {
  for (const Agent& agent : all_agents()) {
    const LaunchPlan plan = agent.plan(test_request());
    std::string all;
    for (const Variable& set : plan.set) all += set.value + "\n";
    for (const std::string& argument : plan.arguments) all += argument + "\n";
    for (const PlannedFile& file : plan.files) {
      all += file.content + "\n";
      EXPECT_EQ(file.name.find('/'), std::string::npos) << agent.name;
    }
    EXPECT_NE(all.find("http://127.0.0.1:8080"), std::string::npos) << agent.name;
    EXPECT_EQ(all.find("https://api."), std::string::npos) << agent.name;
    EXPECT_EQ(all.find("/home/me"), std::string::npos) << agent.name;
    const bool starts_claude = agent.name == "claude" || agent.name == "anyclaude";
    EXPECT_EQ(plan.remarks.size(), starts_claude ? 1U : 0U) << agent.name << ": " << plan.remarks.back();
  }
}

TEST(EveryAgent, SetsNoVariableTwiceAndNoneThatItUnsets) {
  const TestMachine machine = {{{"HOME", "/home/me"}, {"HTTPS_PROXY", "http://proxy:3128"}}, {}};
  for (const Agent& agent : all_agents()) {
    const LaunchPlan plan = agent.plan(test_request(machine));
    std::set<std::string> names(plan.unset.begin(), plan.unset.end());
    EXPECT_EQ(names.size(), plan.unset.size()) << agent.name;
    for (const Variable& set : plan.set) EXPECT_TRUE(names.insert(set.name).second) << agent.name << ": " << set.name;
  }
}

// Other users of the machine can read the arguments of a process, not its environment or our files.
TEST(EveryAgent, KeepsTheKeyOutOfTheArguments) {
  for (const Agent& agent : all_agents()) {
    LaunchRequest request = test_request();
    request.api_key = "top-secret";
    const LaunchPlan plan = agent.plan(request);
    for (const std::string& argument : plan.arguments)
      EXPECT_EQ(argument.find("top-secret"), std::string::npos) << agent.name;
    const bool in_variable = std::any_of(plan.set.begin(), plan.set.end(), [](const Variable& set) {
      return set.value.find("top-secret") != std::string::npos;
    });
    const bool in_file = std::any_of(plan.files.begin(), plan.files.end(), [](const PlannedFile& file) {
      return file.content.find("top-secret") != std::string::npos;
    });
    EXPECT_TRUE(in_variable || in_file) << agent.name;
  }
}

TEST(EveryAgent, AsksNoProxyForTheServer) {
  const TestMachine machine = {{{"HOME", "/home/me"}, {"https_proxy", "http://proxy"}, {"NO_PROXY", "corp"}}, {}};
  for (const Agent& agent : all_agents()) {
    const LaunchPlan plan = agent.plan(test_request(machine));
    EXPECT_EQ(variable(plan, "NO_PROXY"), "corp,127.0.0.1") << agent.name;
    EXPECT_EQ(variable(plan, "no_proxy"), "corp,127.0.0.1") << agent.name << ": many programs read only this one";
    EXPECT_TRUE(remarks(plan, "NO_PROXY")) << agent.name;
  }
  const TestMachine both = {
      {{"HOME", "/home/me"}, {"https_proxy", "http://proxy"}, {"NO_PROXY", "corp"}, {"no_proxy", "lab"}}, {}};
  const LaunchPlan plan = all_agents().front().plan(test_request(both));
  for (const char* name : {"NO_PROXY", "no_proxy"}) EXPECT_EQ(variable(plan, name), "corp,lab,127.0.0.1");
}

TEST(EveryAgent, SaysThatAContextIsSmall) {
  for (const Agent& agent : all_agents()) {
    LaunchRequest request = test_request();
    request.context = 8'192;
    EXPECT_TRUE(remarks(agent.plan(request), "a context of 8192 tokens is small")) << agent.name;
  }
}

// A settings file of the user's that is damaged is no reason not to start.
TEST(EveryAgent, SurvivesDamagedFilesOfTheUsers) {
  TestMachine machine;
  for (const char* path : {"/home/me/.claude/settings.json", ".claude/settings.json", "opencode.json",
                           "/home/me/.codex/config.toml", "/etc/qwen-code/settings.json"}) {
    machine.files[path] = "{\"env\": [\n";
  }
  for (const Agent& agent : all_agents()) EXPECT_FALSE(agent.plan(test_request(machine)).arguments.size() > 100);
  EXPECT_TRUE(remarks(plan_claude(test_request(machine)), "/home/me/.claude/settings.json is not a JSON object"));
  machine.files["/home/me/.claude/settings.json"] = R"({"env": ["x"], "statusLine": null})";
  EXPECT_FALSE(file_of(plan_claude(test_request(machine)), "settings.json").contains("statusLine"));
}

TEST(Claude, HasTheVariablesInTheEnvironmentAndInItsSettings) {
  const LaunchPlan plan = plan_claude(test_request());
  EXPECT_THAT(plan.arguments, ElementsAre("--settings", "/tmp/kvern-x/settings.json"));
  const Json env = file_of(plan, "settings.json")["env"];
  for (const Variable& set : plan.set) EXPECT_EQ(env[set.name], set.value) << set.name;
  EXPECT_EQ(variable(plan, "ANTHROPIC_BASE_URL"), "http://127.0.0.1:8080");
  EXPECT_EQ(variable(plan, "ANTHROPIC_MODEL"), "Coder");
  EXPECT_EQ(variable(plan, "ANTHROPIC_DEFAULT_HAIKU_MODEL"), "Coder:aux");
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_SUBAGENT_MODEL"), "Coder:subagent");
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_MAX_CONTEXT_TOKENS"), "65536");
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_ATTRIBUTION_HEADER"), "0");
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_SIMPLE"), "(ours)");
}

// An answer of full length must fit behind the longest conversation that is not compacted yet.
TEST(Claude, CompactsWhileAnAnswerStillFits) {
  for (const std::int32_t context : {4'096, 32'768, 65'536, 131'072, 200'000, 1'000'000}) {
    LaunchRequest request = test_request();
    request.context = context;
    const std::int64_t full = std::int64_t{context} * compact_percent(request) / 100;
    EXPECT_LE(full + output_tokens(request), context) << context;
    EXPECT_GE(compact_percent(request), 70) << context;
  }
}

// A key of the vendor's, or another cloud's switch, would send the conversation out of the house.
TEST(Claude, ClosesEveryDetourOfShellAndSettings) {
  TestMachine machine;
  machine.variables["ANTHROPIC_API_KEY"] = "sk-real";
  machine.variables["ANTHROPIC_BASE_URL"] = "http://elsewhere";
  machine.files["/home/me/.claude/settings.json"] = R"({"env":{"CLAUDE_CODE_USE_BEDROCK":"1","MINE":"1"}})";
  const LaunchPlan plan = plan_claude(test_request(machine));
  EXPECT_EQ(variable(plan, "ANTHROPIC_API_KEY"), "(unset)");
  EXPECT_EQ(file_of(plan, "settings.json")["env"]["CLAUDE_CODE_USE_BEDROCK"], "");
  EXPECT_TRUE(remarks(plan, "your ANTHROPIC_BASE_URL=http://elsewhere is replaced"));
  EXPECT_TRUE(remarks(plan, "your ANTHROPIC_API_KEY is left out"));
  EXPECT_FALSE(remarks(plan, "sk-real"));
  EXPECT_TRUE(remarks(plan, "/home/me/.claude/settings.json sets CLAUDE_CODE_USE_BEDROCK: replaced"));
}

TEST(Claude, NamesAManagedPolicyThatWins) {
  TestMachine machine;
  machine.files["/etc/claude-code/managed-settings.json"] = R"({"env":{"ANTHROPIC_BASE_URL":"https://corp"}})";
  EXPECT_TRUE(remarks(plan_claude(test_request(machine)),
                      "warning: /etc/claude-code/managed-settings.json sets ANTHROPIC_BASE_URL and wins"));
}

TEST(Claude, BringsAStatusLineUnlessThereIsOne) {
  const Json ours = file_of(plan_claude(test_request()), "settings.json");
  EXPECT_EQ(ours["statusLine"]["command"], "/usr/bin/kvern status --line --server http://127.0.0.1:8080");
  TestMachine machine;
  machine.variables["CLAUDE_CONFIG_DIR"] = "/conf";
  machine.files["/conf/settings.json"] = R"({"statusLine":{"type":"command","command":"mine"}})";
  const LaunchPlan plan = plan_claude(test_request(machine));
  EXPECT_FALSE(file_of(plan, "settings.json").contains("statusLine"));
  EXPECT_TRUE(remarks(plan, "you have a status line"));
}

// Mode auto asks the model about every command, behind a prompt that fills a local context.
TEST(Claude, StartsInAPermissionModeThatAsksTheUserUnlessOneIsChosen) {
  EXPECT_EQ(file_of(plan_claude(test_request()), "settings.json")["permissions"]["defaultMode"], "default");
  TestMachine machine;
  machine.files[".claude/settings.local.json"] = R"({"permissions":{"defaultMode":"plan"}})";
  const LaunchPlan plan = plan_claude(test_request(machine));
  EXPECT_FALSE(file_of(plan, "settings.json").contains("permissions"));
  EXPECT_FALSE(remarks(plan, "permission mode"));
  machine.files[".claude/settings.local.json"] = R"({"permissions":[]})";
  EXPECT_TRUE(remarks(plan_claude(test_request(machine)), "permission mode"));
}

TEST(Claude, LeavesTheUsersOwnSettingsFlagAlone) {
  for (const char* flag : {"--settings", "--settings=mine.json"}) {
    const LaunchPlan plan = plan_claude(test_request({}, {flag, "mine.json"}));
    EXPECT_TRUE(plan.files.empty());
    EXPECT_THAT(plan.arguments, ElementsAre(flag, "mine.json"));
    EXPECT_TRUE(remarks(plan, "your --settings takes the place"));
    EXPECT_EQ(variable(plan, "ANTHROPIC_BASE_URL"), "http://127.0.0.1:8080");
  }
  EXPECT_FALSE(plan_claude(test_request({}, {"-p", "--", "--settings"})).files.empty());
}

TEST(Claude, TakesShortPromptsWhenAsked) {
  LaunchRequest request = test_request();
  request.context = 8'192;
  EXPECT_TRUE(remarks(plan_claude(request), "--simple"));
  request.simple = true;
  EXPECT_EQ(variable(plan_claude(request), "CLAUDE_CODE_SIMPLE"), "1");
  EXPECT_FALSE(remarks(plan_claude(request), "small"));
}

TEST(Codex, IsToldEverythingInOverrides) {
  const LaunchPlan plan = plan_codex(test_request());
  EXPECT_EQ(override_of(plan, "model"), "\"Coder\"");
  EXPECT_EQ(override_of(plan, "model_provider"), "\"kvern\"");
  EXPECT_EQ(override_of(plan, "model_providers.kvern.base_url"), "\"http://127.0.0.1:8080/v1\"");
  EXPECT_EQ(override_of(plan, "model_providers.kvern.wire_api"), "\"responses\"");
  EXPECT_EQ(override_of(plan, "model_context_window"), "65536");
  EXPECT_EQ(override_of(plan, "web_search"), "\"disabled\"");
  EXPECT_EQ(override_of(plan, "model_catalog_json"), "\"/tmp/kvern-x/models.json\"");
  EXPECT_EQ(override_of(plan, "model_providers.kvern.env_key"), "");
  EXPECT_TRUE(plan.set.empty());
}

TEST(Codex, ReadsTheKeyFromAVariable) {
  LaunchRequest request = test_request();
  request.api_key = "secret";
  const LaunchPlan plan = plan_codex(request);
  EXPECT_EQ(override_of(plan, "model_providers.kvern.env_key"), "\"KVERN_API_KEY\"");
  EXPECT_EQ(variable(plan, "KVERN_API_KEY"), "secret");
}

TEST(Codex, HasACatalogEntryForEveryRole) {
  LaunchRequest request = test_request();
  request.model = "odd \"name\"\\";
  const LaunchPlan plan = plan_codex(request);
  EXPECT_EQ(override_of(plan, "model"), R"("odd \"name\"\\")");
  const Json models = file_of(plan, "models.json")["models"];
  ASSERT_EQ(models.size(), 3U);
  EXPECT_EQ(models[0]["slug"], "odd \"name\"\\");
  for (const Json& model : models) {
    EXPECT_EQ(model["context_window"], 65'536);
    EXPECT_GT(model["base_instructions"].get<std::string>().size(), 200U);
  }
}

TEST(Codex, NamesAProfileThatWins) {
  TestMachine machine;
  machine.files["/home/me/.codex/config.toml"] = "model = \"x\"\nprofile = \"work\"\n";
  EXPECT_TRUE(remarks(plan_codex(test_request(machine)), "/home/me/.codex/config.toml chooses a profile"));
  machine.files["/home/me/.codex/config.toml"] = "[profiles.work]\nprofile = \"no\"";
  EXPECT_FALSE(remarks(plan_codex(test_request(machine)), "profile"));
}

TEST(Opencode, IsToldEverythingInOneVariable) {
  TestMachine machine;
  machine.files["opencode.json"] = "{}";
  const LaunchPlan plan = plan_opencode(test_request(machine));
  const Json config = parse_json(variable(plan, "OPENCODE_CONFIG_CONTENT")).value();
  EXPECT_EQ(config["model"], "kvern/Coder");
  EXPECT_EQ(config["small_model"], "kvern/Coder:aux");
  const Json& provider = config["provider"]["kvern"];
  EXPECT_EQ(provider["options"]["baseURL"], "http://127.0.0.1:8080/v1");
  EXPECT_EQ(provider["models"]["Coder"]["limit"], Json({{"context", 65'536}, {"output", 16'384}}));
  EXPECT_TRUE(provider["models"].contains("Coder:subagent"));
  EXPECT_TRUE(remarks(plan, "opencode.json of this project stays in use"));
}

TEST(Qwen, AddsItsModelToWhatTheAdministratorWrote) {
  TestMachine machine;
  machine.files["/etc/qwen-code/settings.json"] = R"({"tools":{"sandbox":true},"modelProviders":{"gemini":[]}})";
  machine.variables["OPENAI_API_KEY"] = "sk-real";
  const LaunchPlan plan = plan_qwen(test_request(machine));
  EXPECT_TRUE(plan.arguments.empty());
  EXPECT_EQ(variable(plan, "OPENAI_BASE_URL"), "http://127.0.0.1:8080/v1");
  EXPECT_EQ(variable(plan, "QWEN_CODE_SYSTEM_SETTINGS_PATH"), "/tmp/kvern-x/settings.json");
  const Json settings = file_of(plan, "settings.json");
  EXPECT_EQ(settings["tools"]["sandbox"], true);
  EXPECT_EQ(settings["model"]["name"], "Coder");
  EXPECT_EQ(settings["security"]["auth"]["selectedType"], "openai");
  EXPECT_TRUE(settings["modelProviders"].contains("gemini"));
  EXPECT_EQ(settings["modelProviders"]["openai"][0]["generationConfig"]["contextWindowSize"], 65'536);
  EXPECT_TRUE(remarks(plan, "your OPENAI_API_KEY is replaced"));
  EXPECT_FALSE(remarks(plan, "sk-real"));
}

TEST(Qwen, LetsTheUsersOwnFlagsDecide) {
  const LaunchPlan plan = plan_qwen(test_request({}, {"-m", "other", "--auth-type=anthropic"}));
  EXPECT_THAT(plan.arguments, ElementsAre("-m", "other", "--auth-type=anthropic"));
  EXPECT_TRUE(remarks(plan, "decide over what kvern sets"));
}

TEST(Cline, HasItsProvidersFileElsewhereForThisRun) {
  const LaunchPlan plan = plan_cline(test_request());
  EXPECT_EQ(variable(plan, "CLINE_PROVIDER_SETTINGS_PATH"), "/tmp/kvern-x/providers.json");
  const Json file = file_of(plan, "providers.json");
  EXPECT_EQ(file["lastUsedProvider"], "openai-compatible");
  const Json& settings = file["providers"]["openai-compatible"]["settings"];
  EXPECT_EQ(settings["baseUrl"], "http://127.0.0.1:8080/v1");
  EXPECT_EQ(settings["contextWindow"], 65'536);
  EXPECT_TRUE(remarks(plan_cline(test_request({}, {"-P", "anthropic"})), "may lead past kvern"));
}

// Claude Code behind the proxy works only with ids that look like Claude's.
TEST(AnyClaude, AsksWithNamesOfClaudeAndLeavesTheAddressToItsProxy) {
  LaunchRequest request = test_request();
  request.api_key = "secret";
  const LaunchPlan plan = plan_anyclaude(request);
  EXPECT_EQ(variable(plan, "OPENAI_API_URL"), "http://127.0.0.1:8080/v1");
  EXPECT_EQ(variable(plan, "OPENAI_API_KEY"), "secret");
  EXPECT_EQ(variable(plan, "ANTHROPIC_AUTH_TOKEN"), "kvern");
  EXPECT_EQ(variable(plan, "ANTHROPIC_BASE_URL"), "(unset)");
  EXPECT_FALSE(file_of(plan, "settings.json")["env"].contains("ANTHROPIC_BASE_URL"));
  for (const char* name : {"ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL"})
    EXPECT_TRUE(variable(plan, name).starts_with("openai/claude-")) << name;
}

}  // namespace
}  // namespace kvern::agents
