// Records made of what an unknown template renders.
#include "chat/dialect/derive.h"

#include <gtest/gtest.h>

#include <map>

#include "chat/dialect/test_parse.h"
#include "chat/dialect/test_templates.h"
#include "chat/dialect/test_vocab.h"
#include "constrain/constraint.h"

namespace kvern::chat {
namespace {

using testing::ByteVocab;
using testing::probes_of;

std::shared_ptr<const Dialect> derive(const std::string& source) { return derive_dialect(source, probes_of(source)); }

// A template in our own words. calls: what it writes for message.tool_calls. text: around its content.
std::string source_of(const std::string& calls, const std::string& text = "{{ m.content or '' }}") {
  return "{% for t in tools or [] %}{{ t.function.name }};{% endfor %}{% for m in messages %}{{ '<|turn|>' + m.role + "
         "'\n' }}" +
         text + "{% if m.tool_calls %}" + calls +
         "{% endif %}{{ '<|over|>\n' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";
}

const std::string kJsonCalls =
    R"({{ '\n<calls>[' }}{% for c in m.tool_calls %}{% if not loop.first %}{{ '; ' }}{% endif %})"
    R"({{ '{"fn": "' + c.function.name + '", "args": ' }}{{ c.function.arguments | tojson(separators=(',', ':')) }})"
    R"({{ ', "ref": "' + c.id + '"}' }}{% endfor %}{{ ']</calls>' }})";

TEST(DeriveDialect, FindsTheObjectsOfAnUnknownFamily) {
  const auto found = derive(source_of(kJsonCalls));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->frame, CallFrame::envelope);
  EXPECT_EQ(found->trigger, "<calls>");
  EXPECT_EQ(found->section_begin, "<calls>[");
  EXPECT_EQ(found->call_begin, "{\"fn\": \"");
  EXPECT_EQ(found->name_end, "\", \"args\": ");
  EXPECT_EQ(found->id_place, IdPlace::after_arguments);
  EXPECT_EQ(found->id_mark, ", \"ref\": \"");
  EXPECT_EQ(found->call_end, "\"}");
  EXPECT_EQ(found->call_separator, "; ");
  EXPECT_EQ(found->section_end, "]</calls>");
  EXPECT_EQ(found->text_separator, "\n");
  EXPECT_EQ(found->item_separator, ",");
  EXPECT_EQ(found->key_separator, ":");
}

TEST(DeriveDialect, FindsOneElementAParameter) {
  const auto found = derive(source_of(
      "{% for c in m.tool_calls %}{{ '\n<do f=\"' + c.function.name + '\">\n' }}{% for k, v in c.function.arguments | "
      "items %}{{ '<p n=\"' + k + '\" string=\"' + ('true' if v is string else 'false') + '\">' }}{{ v if v is string "
      "else v | tojson }}{{ '</p>\n' }}{% endfor %}{{ '</do>' }}{% endfor %}"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->arguments, ArgumentStyle::tagged);
  EXPECT_EQ(found->trigger, "<do f=\"");
  EXPECT_EQ(found->name_end, "\">\n");
  EXPECT_EQ(found->parameter_begin, "<p n=\"");
  EXPECT_EQ(found->type_word, TypeWord::is_string);
  EXPECT_EQ(found->type_begin, "\" string=\"");
  EXPECT_EQ(found->parameter_name_end, "\">");
  EXPECT_EQ(found->parameter_end, "</p>\n");
  EXPECT_EQ(found->call_end, "</do>");
  EXPECT_EQ(found->call_separator, "\n");
}

TEST(DeriveDialect, CountsIdsThatAreNumbers) {
  const auto found = derive(source_of(
      "{{ '<calls>' }}{% for c in m.tool_calls %}{{ '<call no=' ~ loop.index ~ '>' ~ c.function.name ~ '|' }}{{ "
      "c.function.arguments | tojson }}{{ '</call>' }}{% endfor %}{{ '</calls>' }}"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->id_place, IdPlace::before_name);
  EXPECT_EQ(found->id_form, IdForm::number);
  EXPECT_EQ(found->id_first, 1);
  EXPECT_EQ(found->call_begin, "<call no=");
  EXPECT_EQ(found->id_mark, ">");
}

TEST(DeriveDialect, FindsReasoningMarkersInTheSource) {
  const auto found = derive(source_of(kJsonCalls) + "{% if false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->reasoning_begin, "<think>");
  EXPECT_EQ(found->reasoning_close, "\n</think>\n\n");
}

TEST(DeriveDialect, OneCallATurnWhereTheTemplateRefusesMore) {
  const auto found = derive(source_of(
      "{% if m.tool_calls | length > 1 %}{{ raise_exception('one') }}{% endif %}{{ '<call>' + "
      "m.tool_calls[0].function.name + '=' }}{{ m.tool_calls[0].function.arguments | tojson }}{{ '</call>' }}"));
  ASSERT_NE(found, nullptr);
  EXPECT_FALSE(found->parallel);
  EXPECT_EQ(found->call_end, "</call>");
}

// Our own words for the tools are better than a guess.
TEST(DeriveDialect, GivesUpOnWhatARecordCannotSay) {
  const std::string plain =
      "{% for c in m.tool_calls %}{{ '<c>' + c.function.name + ' ' }}{{ c.function.arguments | "
      "tojson }}{{ '</c>' }}{% endfor %}";
  ASSERT_NE(derive(source_of(plain)), nullptr);
  const std::map<std::string, std::string> hopeless = {
      {"no calls at all", source_of("")},
      {"arguments over lines", source_of("{% for c in m.tool_calls %}{{ '<c>' + c.function.name + ' ' }}{{ "
                                         "c.function.arguments | tojson(indent=2) }}{{ '</c>' }}{% endfor %}")},
      {"calls that begin like words", source_of("{% for c in m.tool_calls %}{{ 'Call ' + c.function.name + ' ' }}{{ "
                                                "c.function.arguments | tojson }}{{ '.' }}{% endfor %}")},
      {"a name written twice", source_of("{% for c in m.tool_calls %}{{ '<c>' + c.function.name + c.function.name }}{{ "
                                         "c.function.arguments | tojson }}{{ '</c>' }}{% endfor %}")},
      {"marks around text", source_of(plain,
                                      "{% if m.role == 'assistant' and not m.tool_calls %}{{ '<|text|>' + "
                                      "(m.content or '') }}{% else %}{{ m.content or '' }}{% endif %}")},
      {"calls that begin with the end of a turn",
       source_of("{% for c in m.tool_calls %}{{ '<|over|>\n<c>' + c.function.name + ' ' }}{{ c.function.arguments | "
                 "tojson }}{{ '</c>' }}{% endfor %}")},
  };
  for (const auto& [what, source] : hopeless) EXPECT_EQ(derive(source), nullptr) << what;
  EXPECT_EQ(derive_dialect("", {}), nullptr);
}

TEST(DeriveDialect, ADerivedRecordsGrammarAllowsWhatTheTemplateWrites) {
  const auto found = derive(source_of(kJsonCalls));
  ASSERT_NE(found, nullptr);
  ChatRequest request;
  request.tools.resize(2);
  request.tools[0].name = "kv_probe";
  request.tools[0].parameters =
      R"({"type":"object","properties":{"kv_text":{"type":"string"},"kv_count":{"type":"integer"}}})";
  request.tools[1].name = "kv_other";
  request.tools[1].parameters = R"({"type":"object","properties":{}})";
  const ByteVocab vocab;
  const auto compiler = constrain::Compiler::create(vocab).value();
  const auto fitter = constrain::SchemaFitter::create(*compiler);
  const auto spec = write_constraint(*found, false, false, request, vocab, *compiler, *fitter).value();
  const auto matcher = compiler->compile(spec.lark).value()->start();
  for (const char c : "Text.\n" + render_calls(*found, probe_calls(true))) {
    const TokenId token = static_cast<unsigned char>(c);
    ASSERT_TRUE(matcher->allows(token)) << c;
    ASSERT_TRUE(matcher->accept(token).has_value());
  }
  EXPECT_TRUE(matcher->finished() || matcher->allows(ByteVocab::kEnd));
}

// A newline before the end of the turn may belong to the calls or to the turn.
std::string without_last_space(const std::string& text) { return text.substr(0, text.find_last_not_of('\n') + 1); }

// Templates whose families have a record of their own; here it is as if they had none.
constexpr const char* kDerivable[] = {"Apertus-8B-Instruct",
                                      "Apriel-1.6-15b-Thinker-fixed",
                                      "Bielik-11B-v3.0-Instruct",
                                      "ByteDance-Seed-OSS",
                                      "GLM-4.6",
                                      "GLM-4.7-Flash",
                                      "GigaChat3.1-10B-A1.8B",
                                      "Kimi-K2-Instruct",
                                      "Kimi-K2-Thinking",
                                      "MiMo-VL",
                                      "MiniMax-M1",
                                      "MiniMax-M2",
                                      "Mistral-Small-3.2-24B-Instruct-2506",
                                      "NVIDIA-Nemotron-Nano-v2",
                                      "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
                                      "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
                                      "Qwen-QwQ-32B",
                                      "Qwen-Qwen2.5-7B-Instruct",
                                      "Qwen-Qwen3-0.6B",
                                      "Qwen3-Coder",
                                      "Qwen3.5-4B",
                                      "Reka-Edge",
                                      "StepFun3.5-Flash",
                                      "deepseek-ai-DeepSeek-V3.1",
                                      "ibm-granite-granite-4.0",
                                      "ibm-granite-granite-4.1",
                                      "meetkai-functionary-medium-v3.1",
                                      "meta-llama-Llama-3.1-8B-Instruct",
                                      "meta-llama-Llama-3.2-3B-Instruct",
                                      "meta-llama-Llama-3.3-70B-Instruct",
                                      "mistralai-Ministral-3-14B-Reasoning-2512",
                                      "mistralai-Mistral-Nemo-Instruct-2407",
                                      "moonshotai-Kimi-K2",
                                      "poolside-Laguna-XS-2.1",
                                      "poolside-Laguna-XS.2",
                                      "tencent-Hy3",
                                      "unsloth-Apriel-1.5",
                                      "unsloth-mistral-Devstral-Small-2507"};

TEST(DeriveDialect, WritesTheCallsOfKnownFamiliesAsTheirOwnRecordsDo) {
  if (testing::template_names().empty()) GTEST_SKIP() << "no llama.cpp source here";
  for (const char* name : kDerivable) {
    const std::string source = testing::template_source(name);
    const auto probes = probes_of(source);
    const auto found = derive_dialect(source, probes);
    ASSERT_NE(found, nullptr) << name;
    const Dialect& ours = *choose_dialect(source, probes).dialect;
    EXPECT_EQ(found->parallel, ours.parallel) << name;
    std::vector<ToolCall> calls = probe_calls(true);
    calls.resize(ours.parallel ? 2 : 1);
    EXPECT_EQ(without_last_space(render_calls(*found, calls)), without_last_space(render_calls(ours, calls))) << name;
  }
}

// Each for a reason; should one of these succeed, look closely at what it is.
const std::map<std::string, std::string> kNotDerivable = {
    {"Cohere2MoE", "text stands between marks"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "text stands between marks"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "arguments over lines"},
    {"upstage-Solar-Open-100B", "text stands between marks"},
    {"Kimi-K3", "text stands between marks"},
    {"openai-gpt-oss-120b", "channels"},
    {"GigaChat3-10B-A1.8B", "calls begin with the token that ends text"},
    {"muse-glimmer", "the name is written twice"},
    {"google-gemma-4-31B-it", "no JSON"},
    {"google-gemma-4-31B-it-interleaved", "no JSON"},
    {"MiniMax-M3", "an element named after each parameter"},
    {"deepseek-ai-DeepSeek-V4", "a call without parameters has a line of its own"},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "calls are a message beside that of the text"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "one call alone has no end"},
    {"llama-cpp-deepseek-r1", "a message without text has the section's marks, with calls or not"},
    {"meetkai-functionary-medium-v3.2", "the prompt holds the beginning of the first call"},
    {"fireworks-ai-llama-3-firefunction-v2", "calls begin with a word"},
    {"HuggingFaceTB-SmolLM3-3B", "calls are left out"},
    {"ibm-granite-granite-3.3-2B-Instruct", "calls are left out"},
    {"microsoft-Phi-3.5-mini-instruct", "calls are left out"},
};

TEST(DeriveDialect, GivesUpOnTheFamiliesItCannotDescribe) {
  if (testing::template_names().empty()) GTEST_SKIP() << "no llama.cpp source here";
  for (const auto& [name, why] : kNotDerivable) {
    const std::string source = testing::template_source(name);
    EXPECT_EQ(derive_dialect(source, probes_of(source)), nullptr) << name << ": " << why;
  }
}

}  // namespace
}  // namespace kvern::chat
