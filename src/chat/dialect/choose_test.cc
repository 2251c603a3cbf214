// Which record is chosen for every chat template of the llama.cpp source.
#include <gtest/gtest.h>

#include <map>

#include "chat/dialect/test_templates.h"

namespace kvern::chat {
namespace {

// Where several families' templates write calls alike, one record stands for all of them.
const std::map<std::string, std::string> kChosen = {
    {"Apertus-8B-Instruct", "apertus"},
    {"Apriel-1.6-15b-Thinker-fixed", "apriel"},
    {"Bielik-11B-v3.0-Instruct", "hermes"},
    {"ByteDance-Seed-OSS", "seed-oss"},
    {"Cohere2MoE", "command-moe"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-r7b"},
    {"GLM-4.6", "glm-4.5"},
    {"GLM-4.7-Flash", "glm-4.7"},
    {"GigaChat3.1-10B-A1.8B", "gigachat"},
    {"Kimi-K2-Instruct", "kimi-k2"},
    {"Kimi-K2-Thinking", "kimi-k2"},
    {"Kimi-K3", "kimi-k3"},
    {"LFM2-8B-A1B", "lfm2"},  // these show no calls: their source says so
    {"LFM2.5-8B-A1B", "lfm2"},
    {"LFM2.5-Instruct", "lfm2"},
    {"MiMo-VL", "hermes"},
    {"MiniMax-M1", "minimax-m1"},
    {"MiniMax-M2", "minimax-m2"},
    {"MiniMax-M3", "minimax-m3"},
    {"Mistral-Small-3.2-24B-Instruct-2506", "mistral-small-3.2"},
    {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nemotron-3"},
    {"NVIDIA-Nemotron-Nano-v2", "nemotron-v2"},
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes"},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"},
    {"Qwen-QwQ-32B", "hermes"},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
    {"Qwen-Qwen3-0.6B", "hermes"},
    {"Qwen3-Coder", "qwen3-coder"},
    {"Qwen3.5-4B", "qwen3-coder"},
    {"Reka-Edge", "reka"},
    {"StepFun3.5-Flash", "step3.5"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek-v3.1"},
    {"deepseek-ai-DeepSeek-V3.2", "deepseek-v3.2"},
    {"deepseek-ai-DeepSeek-V4", "deepseek-v4"},
    {"deepseek-ai-DeepSeek-V4-Flash-0731", "deepseek-v4"},
    {"fireworks-ai-llama-3-firefunction-v2", "firefunction"},
    {"google-gemma-4-31B-it", "gemma4"},
    {"google-gemma-4-31B-it-interleaved", "gemma4"},
    {"ibm-granite-granite-3.3-2B-Instruct", "granite-3"},  // shows no calls either
    {"ibm-granite-granite-4.0", "hermes"},
    {"ibm-granite-granite-4.1", "hermes"},
    {"inclusionai-ling-3.0-flash", "ling-3"},
    {"llama-cpp-deepseek-r1", "deepseek-r1"},
    {"meetkai-functionary-medium-v3.1", "functionary-v3.1"},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3"},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama3"},
    {"meta-llama-Llama-3.3-70B-Instruct", "llama3"},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral-v11"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral-v3"},
    {"moonshotai-Kimi-K2", "kimi-k2"},
    {"openai-gpt-oss-120b", "harmony"},
    {"poolside-Laguna-S-2.1", "glm-4.7"},
    {"poolside-Laguna-XS-2.1", "laguna-xs.2"},
    {"poolside-Laguna-XS.2", "laguna-xs.2"},
    {"tencent-Hy3", "hy3"},
    {"unsloth-Apriel-1.5", "apriel"},
    {"unsloth-mistral-Devstral-Small-2507", "mistral-v11"},
    {"upstage-Solar-Open-100B", "solar"},
};

// No record can say what these write, or they write no calls: kvern describes the tools itself, and
// the template is not asked about them.
const std::map<std::string, std::string> kDescribed = {
    {"CohereForAI-c4ai-command-r-plus-tool_use", "arguments over lines"},
    {"GigaChat3-10B-A1.8B", "calls begin with the token that ends text"},
    {"HuggingFaceTB-SmolLM3-3B", "calls are left out"},
    {"google-gemma-2-2b-it", "calls are left out"},
    {"llama-cpp-rwkv-world", "calls are left out"},
    {"meetkai-functionary-medium-v3.2", "the prompt holds the beginning of the first call"},
    {"microsoft-Phi-3.5-mini-instruct", "calls are left out"},
};

Chosen choose(const std::string& source) { return choose_dialect(source, testing::probes_of(source)); }

TEST(ChooseDialect, FindsTheRecordOfEveryKnownTemplate) {
  if (testing::template_names().empty()) GTEST_SKIP() << "no llama.cpp source here";
  for (const auto& [name, dialect] : kChosen) {
    const Chosen chosen = choose(testing::template_source(name));
    EXPECT_EQ(chosen.dialect->name, dialect) << name;
    EXPECT_EQ(chosen.derived, nullptr) << name;
  }
}

TEST(ChooseDialect, DescribesToolsWhereATemplateDoesNotKnowCalls) {
  if (testing::template_names().empty()) GTEST_SKIP() << "no llama.cpp source here";
  for (const auto& [name, why] : kDescribed) {
    const Chosen chosen = choose(testing::template_source(name));
    EXPECT_EQ(chosen.dialect->name, "hermes") << name << ": " << why;
    EXPECT_FALSE(chosen.knows_tools) << name << ": " << why;
  }
}

// Families whose calls are alike differ in the marks around text and reasoning: the source tells.
TEST(ChooseDialect, ReasoningIsWhatTheTemplateMentions) {
  if (testing::template_names().empty()) GTEST_SKIP() << "no llama.cpp source here";
  EXPECT_TRUE(choose(testing::template_source("Qwen-Qwen3-0.6B")).reasons);
  EXPECT_FALSE(choose(testing::template_source("Qwen-Qwen2.5-7B-Instruct")).reasons);
  EXPECT_TRUE(choose(testing::template_source("mistralai-Ministral-3-14B-Reasoning-2512")).reasons);
  EXPECT_FALSE(choose(testing::template_source("unsloth-mistral-Devstral-Small-2507")).reasons);
}

// An unknown family in our own words: it is derived, and the record lives as long as somebody holds it.
TEST(ChooseDialect, AnUnknownFamilyGetsARecordOfItsOwn) {
  const std::string source =
      "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{{ '<|' + m.role + '|>' }}{{ "
      "m.content or '' }}{% for c in m.tool_calls or [] %}{{ '<act>' + c.function.name + ': ' }}{{ "
      "c.function.arguments | tojson }}{{ '</act>' }}{% endfor %}{{ '<|end|>' }}{% endfor %}{% if "
      "add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
  const Chosen chosen = choose(source);
  ASSERT_NE(chosen.derived, nullptr);
  EXPECT_EQ(chosen.dialect, chosen.derived.get());
  EXPECT_TRUE(chosen.knows_tools);
  EXPECT_EQ(render_calls(*chosen.dialect, probe_calls(true)),
            "<act>kv_probe: {\"kv_text\": \"kv words\", \"kv_count\": 41}</act><act>kv_other: {}</act>");
}

}  // namespace
}  // namespace kvern::chat
