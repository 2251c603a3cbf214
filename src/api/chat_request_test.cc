#include "api/test_requests.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

using testing::expect_refused;
using testing::parse_with;
using testing::Refusal;

Result<ChatRequest> parse_messages(std::string_view list) {
  return parse_chat_request(fmt::format(R"({{"messages":{}}})", list));
}

Message only_message(std::string_view message) {
  const auto request = parse_messages(fmt::format("[{}]", message));
  EXPECT_TRUE(request) << message << ": " << (request ? "" : request.error().message);
  return request ? request->messages.at(0) : Message{};
}

std::string repeated(std::string_view item, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    out += item;
  }
  return out;
}

TEST(ChatRequest, AMinimalRequestHasTheDefaults) {
  const auto request = parse_with("");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->messages.size(), 1U);
  EXPECT_EQ(request->messages[0].role, Role::user);
  EXPECT_EQ(request->messages[0].content, "hello");
  const SamplingParams defaults;
  EXPECT_EQ(request->sampling.temperature, defaults.temperature);
  EXPECT_EQ(request->sampling.top_k, defaults.top_k);
  EXPECT_EQ(request->sampling.top_logprobs, -1);
  EXPECT_FALSE(request->sampling.seed);
  EXPECT_FALSE(request->tokens_max);
  EXPECT_EQ(request->choices, 1);
  EXPECT_TRUE(request->parallel_tool_calls);
  EXPECT_FALSE(request->stream);
  EXPECT_EQ(request->tool_choice.use, ToolUse::automatic);
  EXPECT_EQ(request->template_kwargs, "");
}

TEST(ChatRequest, ABodyThatIsNoJsonObjectIsRefused) {
  expect_refused(parse_chat_request("{"), {"{", "", "the request body is not valid JSON: "});
  expect_refused(parse_chat_request(""), {"", "", "the request body is not valid JSON: "});
  expect_refused(parse_chat_request("{\"a\":\"\xFF\"}"), {"", "", "not valid JSON"});
  expect_refused(parse_chat_request("[]"), {"[]", "", "must be a JSON object, found a list"});
  expect_refused(parse_chat_request("null"), {"null", "", "must be a JSON object, found null"});
}

// SDKs send null for what the caller left out, and every version of them sends fields we never saw.
TEST(ChatRequest, NullIsAbsentAndUnknownFieldsAreIgnored) {
  std::string fields = R"("store":true,"metadata":{"a":[1,{"b":null}]},"service_tier":5)";
  for (const char* name : {"model",
                           "temperature",
                           "top_p",
                           "top_k",
                           "min_p",
                           "n",
                           "max_tokens",
                           "max_completion_tokens",
                           "stop",
                           "seed",
                           "logit_bias",
                           "logprobs",
                           "top_logprobs",
                           "stream",
                           "stream_options",
                           "tools",
                           "tool_choice",
                           "functions",
                           "function_call",
                           "parallel_tool_calls",
                           "response_format",
                           "json_schema",
                           "chat_template_kwargs",
                           "reasoning_effort",
                           "prompt_cache_key",
                           "user",
                           "session_id",
                           "repeat_penalty",
                           "repeat_last_n"})
    fields += fmt::format(",\"{}\":null", name);
  const auto request = parse_with(fields);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->sampling.top_p, SamplingParams().top_p);
}

TEST(ChatRequest, SamplingFieldsAreRead) {
  const auto request = parse_with(R"("model":"m","temperature":0,"top_p":1,"top_k":-1,"min_p":0.25,
    "presence_penalty":-2,"frequency_penalty":1.5,"repetition_penalty":1.25,"repeat_last_n":-1,"seed":7,
    "max_tokens":12.0,"n":3)");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->sampling.temperature, 0.0F);
  EXPECT_EQ(request->sampling.top_p, 1.0F);
  EXPECT_EQ(request->sampling.top_k, 0) << "-1 is off";
  EXPECT_EQ(request->sampling.min_p, 0.25F);
  EXPECT_EQ(request->sampling.presence_penalty, -2.0F);
  EXPECT_EQ(request->sampling.frequency_penalty, 1.5F);
  EXPECT_EQ(request->sampling.repeat_penalty, 1.25F);
  EXPECT_GE(request->sampling.repeat_last_n, 1 << 20) << "-1 is the whole context";
  EXPECT_EQ(request->sampling.seed, 7U);
  EXPECT_EQ(request->tokens_max, 12);
  EXPECT_EQ(request->choices, 3);
}

TEST(ChatRequest, ASeedIsAny64BitNumberAndMinusOneIsRandom) {
  EXPECT_EQ(parse_with(R"("seed":18446744073709551615)")->sampling.seed, 18446744073709551615U);
  EXPECT_EQ(parse_with(R"("seed":-2)")->sampling.seed, static_cast<std::uint64_t>(-2));
  EXPECT_EQ(parse_with(R"("seed":0)")->sampling.seed, 0U);
  EXPECT_FALSE(parse_with(R"("seed":-1)")->sampling.seed);
}

// Programs that cut text at a number of UTF-16 units send it.
TEST(ChatRequest, HalfACharacterIsAReplacementCharacter) {
  const auto message = [](std::string_view text) {
    return fmt::format(R"({{"messages":[{{"role":"user","content":"{}"}}]}})", text);
  };
  for (const auto& [text, read] :
       std::map<std::string, std::string>{{"cut \\ud83d", "cut \xEF\xBF\xBD"},
                                          {"\\uDE00", "\xEF\xBF\xBD"},
                                          {"\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
                                          {"\\\\\\ud83dx", "\\\xEF\xBF\xBDx"}}) {
    const auto request = parse_chat_request(message(text));
    ASSERT_TRUE(request) << text << ": " << request.error().message;
    EXPECT_EQ(request->messages[0].content, read);
  }
  const auto whole = parse_chat_request(message("\\ud83d\\ude00 \\\\ud83d"));
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->messages[0].content, "\xF0\x9F\x98\x80 \\ud83d");
  const auto broken = parse_chat_request("{\"a\":\"\\\\ud83d\",}");
  ASSERT_FALSE(broken);
}

TEST(ChatRequest, TheNewestSpellingOfTheTokenLimitWins) {
  EXPECT_EQ(parse_with(R"("max_tokens":5)")->tokens_max, 5);
  EXPECT_EQ(parse_with(R"("n_predict":6)")->tokens_max, 6);
  EXPECT_EQ(parse_with(R"("n_predict":6,"max_tokens":5,"max_completion_tokens":4)")->tokens_max, 4);
  EXPECT_FALSE(parse_with(R"("n_predict":-1)")->tokens_max);
  EXPECT_FALSE(parse_with(R"("max_tokens":-1)")->tokens_max);
}

TEST(ChatRequest, LogitBiasIsAMapOrAListOfPairs) {
  using Bias = std::vector<std::pair<TokenId, float>>;
  EXPECT_EQ(parse_with(R"("logit_bias":{"5":-100,"7":1.5})")->sampling.logit_bias, (Bias{{5, -100.0F}, {7, 1.5F}}));
  EXPECT_EQ(parse_with(R"("logit_bias":[[5,2],[6,false]])")->sampling.logit_bias, (Bias{{5, 2.0F}, {6, -100.0F}}));
  EXPECT_TRUE(parse_with(R"("logit_bias":{})")->sampling.logit_bias.empty());
}

TEST(ChatRequest, LogprobsAreNoneTheDrawnTokensOrTheBest) {
  EXPECT_EQ(parse_with(R"("logprobs":true)")->sampling.top_logprobs, 0);
  EXPECT_EQ(parse_with(R"("logprobs":true,"top_logprobs":20)")->sampling.top_logprobs, 20);
  EXPECT_EQ(parse_with(R"("logprobs":false,"top_logprobs":0)")->sampling.top_logprobs, -1);
}

TEST(ChatRequest, StopIsAStringOrAList) {
  EXPECT_EQ(parse_with(R"("stop":"a")")->stops, std::vector<std::string>{"a"});
  EXPECT_EQ(parse_with(R"("stop":["a","b"])")->stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(parse_with(R"("stop":[])")->stops.empty());
}

TEST(ChatRequest, UsageIsStreamedOnlyWhenAskedForInAStream) {
  const auto streamed = parse_with(R"("stream":true,"stream_options":{"include_usage":true})");
  EXPECT_TRUE(streamed->stream);
  EXPECT_TRUE(streamed->stream_usage);
  EXPECT_FALSE(parse_with(R"("stream":true,"stream_options":{})")->stream_usage);
  EXPECT_FALSE(parse_with(R"("stream_options":{"include_usage":true})")->stream_usage);
}

TEST(ChatRequest, TheSessionIsTheFirstKeyAClientGives) {
  EXPECT_EQ(parse_with(R"("prompt_cache_key":"k","user":"u","session_id":"s")")->session, "k");
  EXPECT_EQ(parse_with(R"("user":"u","session_id":"s")")->session, "u");
  EXPECT_EQ(parse_with(R"("session_id":"s")")->session, "s");
}

// The cached prefix of a conversation must not depend on how its client writes text.
TEST(ChatMessages, AStringAndItsPartsAreTheSameMessage) {
  EXPECT_EQ(only_message(R"({"role":"user","content":"one two"})").content, "one two");
  EXPECT_EQ(only_message(R"({"role":"user","content":[{"type":"text","text":"one two"}]})").content, "one two");
  EXPECT_EQ(only_message(R"({"role":"user","content":[{"type":"input_text","text":"one"},
    {"type":"output_text","text":" two","cache_control":{"type":"ephemeral"}}]})")
                .content,
            "one two");
  EXPECT_EQ(only_message(R"({"role":"user","content":[]})").content, "");
}

TEST(ChatMessages, RolesHaveOldAndNewNames) {
  EXPECT_EQ(only_message(R"({"role":"system","content":"x"})").role, Role::system);
  EXPECT_EQ(only_message(R"({"role":"developer","content":"x"})").role, Role::system);
  EXPECT_EQ(only_message(R"({"role":"assistant","content":"x"})").role, Role::assistant);
  const Message tool = only_message(R"({"role":"tool","content":[{"type":"text","text":"42"}],"tool_call_id":"c1"})");
  EXPECT_EQ(tool.role, Role::tool);
  EXPECT_EQ(tool.content, "42");
  EXPECT_EQ(tool.tool_call_id, "c1");
  const Message function = only_message(R"({"role":"function","name":"f","content":"42"})");
  EXPECT_EQ(function.role, Role::tool);
  EXPECT_EQ(function.name, "f");
}

TEST(ChatMessages, AnAssistantTurnComesBackWholeWithItsArgumentsUntouched) {
  const Message message = only_message(R"({"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[
    {"id":"a","type":"function","function":{"name":"read","arguments":"{\"n\": 1.0e0}"}},
    {"id":"b","type":"function","function":{"name":"run","arguments":"{\"cut"}},
    {"id":"c","function":{"name":"list","arguments":{"z":1,"a":[2]}}},
    {"id":"d","function":{"name":"now"}}]})");
  EXPECT_EQ(message.content, "");
  EXPECT_EQ(message.reasoning, "hm");
  ASSERT_EQ(message.tool_calls.size(), 4U);
  EXPECT_EQ(message.tool_calls[0].id, "a");
  EXPECT_EQ(message.tool_calls[0].name, "read");
  EXPECT_EQ(message.tool_calls[0].arguments, R"({"n": 1.0e0})");
  EXPECT_EQ(message.tool_calls[1].arguments, R"({"cut)") << "not JSON, and no reason to refuse the session";
  EXPECT_EQ(message.tool_calls[2].arguments, R"({"z":1,"a":[2]})");
  EXPECT_EQ(message.tool_calls[3].arguments, "{}");
}

// To templates a custom tool is a function with one parameter.
TEST(ChatMessages, ACallOfACustomToolIsACallWithItsInput) {
  const Message message = only_message(R"({"role":"assistant","content":null,"tool_calls":[
    {"id":"a","type":"custom","custom":{"name":"patch","input":"say \"hi\"\n\u00e9"}},
    {"id":"b","type":"custom","custom":{"name":"patch"}}]})");
  ASSERT_EQ(message.tool_calls.size(), 2U);
  EXPECT_EQ(message.tool_calls[0].id, "a");
  EXPECT_EQ(message.tool_calls[0].name, "patch");
  EXPECT_EQ(message.tool_calls[0].arguments, "{\"input\": \"say \\\"hi\\\"\\n\xC3\xA9\"}");
  EXPECT_EQ(message.tool_calls[1].arguments, R"({"input": ""})");
}

TEST(ChatMessages, OtherSpellingsOfAnAssistantTurnAreUnderstood) {
  EXPECT_EQ(only_message(R"({"role":"assistant","content":"x","reasoning":"hm"})").reasoning, "hm");
  EXPECT_EQ(only_message(R"({"role":"assistant","content":"x","reasoning":"a","reasoning_content":"b"})").reasoning,
            "b");
  EXPECT_EQ(only_message(R"({"role":"assistant","refusal":"no"})").content, "no");
  EXPECT_EQ(only_message(R"({"role":"assistant","content":[{"type":"refusal","refusal":"no"}]})").content, "no");
  const Message legacy = only_message(R"({"role":"assistant","function_call":{"name":"f","arguments":"{}"}})");
  ASSERT_EQ(legacy.tool_calls.size(), 1U);
  EXPECT_EQ(legacy.tool_calls[0].name, "f");
}

TEST(ChatRequest, AWrongFieldIsNamedWithWhatWasExpectedAndFound) {
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {R"("model":5)", "model", "expected a string, found a number"},
           {R"("temperature":"hot")", "temperature", "expected a number, found a string"},
           {R"("temperature":2.5)", "temperature", "found 2.5"},
           {R"("temperature":-0.1)", "temperature", "at least 0 and at most 2"},
           {R"("temperature":1e308)", "temperature", "expected a number"},
           {R"("top_p":0)", "top_p", "above 0 and at most 1, found 0"},
           {R"("top_k":-2)", "top_k", "found -2"},
           {R"("top_k":1.5)", "top_k", "expected a whole number from -1"},
           {R"("min_p":[])", "min_p", "expected a number, found a list"},
           {R"("presence_penalty":3)", "presence_penalty", "found 3"},
           {R"("repeat_penalty":0)", "repeat_penalty", "above 0"},
           {R"("repeat_penalty":1e-300)", "repeat_penalty", "above 0"},
           {R"("seed":"x")", "seed", "expected a whole number, found a string"},
           {R"("seed":1.5)", "seed", "found 1.5"},
           {R"("n":0)", "n", "from 1 to 16, found 0"},
           {R"("n":17)", "n", "from 1 to 16, found 17"},
           {R"("max_tokens":0)", "max_tokens", "found 0"},
           {R"("max_completion_tokens":1e300)", "max_completion_tokens", "expected a whole number"},
           {R"("max_completion_tokens":4,"max_tokens":"x")", "max_tokens", "found a string"},
           {R"("n_predict":-3)", "n_predict", "found -3"},
           {R"("stop":5)", "stop", "expected a string or a list of strings, found a number"},
           {R"("stop":["a",""])", "stop[1]", "must not be empty"},
           {R"("stop":["a",{}])", "stop[1]", "expected a string, found an object"},
           {R"("logit_bias":5)", "logit_bias", "found a number"},
           {R"("logit_bias":{"x":1})", "logit_bias", "expected token ids as keys, found \"x\""},
           {R"("logit_bias":{"5":101})", "logit_bias.5", "found 101"},
           {R"("logit_bias":[[5]])", "logit_bias[0]", "expected a list [id, bias]"},
           {R"("logit_bias":[[5,1],[-1,1]])", "logit_bias[1]", "found -1"},
           {R"("logprobs":1)", "logprobs", "expected true or false, found a number"},
           {R"("top_logprobs":2)", "top_logprobs", "needs logprobs"},
           {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
           {R"("stream":"yes")", "stream", "expected true or false, found a string"},
           {R"("stream_options":[])", "stream_options", "expected an object, found a list"},
           {R"("stream_options":{"include_usage":1})", "stream_options.include_usage", "found a number"},
           {R"("user":{})", "user", "expected a string, found an object"},
           {R"("reasoning_effort":3)", "reasoning_effort", "expected a string"},
           {R"("chat_template_kwargs":"x")", "chat_template_kwargs", "expected an object, found a string"},
           {R"("response_format":{})", "response_format.type", "expected a string, found nothing"},
           {R"("response_format":{"type":"xml"})", "response_format.type", "found \"xml\""},
           {R"("response_format":{"type":"json_schema"})", "response_format.json_schema", "found nothing"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":true}})",
            "response_format.json_schema.schema", "expected an object, found a boolean"}})
    expect_refused(parse_with(refusal.text), refusal);
}

TEST(ChatMessages, AWrongMessageIsNamedWithItsPath) {
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {"null", "messages", "expected a list of messages, found nothing"},
           {"{}", "messages", "expected a list, found an object"},
           {"[]", "messages", "at least one message"},
           {"[5]", "messages[0]", "expected an object, found a number"},
           {R"([{"content":"x"}])", "messages[0].role", "expected a string, found nothing"},
           {R"([{"role":"robot","content":"x"}])", "messages[0].role", "found \"robot\""},
           {R"([{"role":"user","content":"x"},{"role":"user"}])", "messages[1].content", "found nothing"},
           {R"([{"role":"user","content":5}])", "messages[0].content", "expected a string or a list of parts"},
           {R"([{"role":"user","content":["x"]}])", "messages[0].content[0]", "expected an object, found a string"},
           {R"([{"role":"user","content":[{"text":"x"}]}])", "messages[0].content[0].type", "found nothing"},
           {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text", "found nothing"},
           {R"([{"role":"user","content":[{"type":"hologram"}]}])", "messages[0].content[0].type", "hologram"},
           {R"([{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"u"}}]}])",
            "messages[0].content[1]", "images are not supported by this model"},
           {R"([{"role":"user","content":[{"type":"input_audio"}]}])", "messages[0].content[0]", "audio clips are not"},
           {R"([{"role":"user","content":[{"type":"file"}]}])", "messages[0].content[0]", "files are not supported"},
           {R"([{"role":"assistant","content":null,"tool_calls":{}}])", "messages[0].tool_calls", "expected a list"},
           {R"([{"role":"assistant","tool_calls":[{"function":{}}]}])", "messages[0].tool_calls[0].function.name",
            "found nothing"},
           {R"([{"role":"assistant","tool_calls":[{"type":"custom"}]}])", "messages[0].tool_calls[0].custom",
            "found nothing"},
           {R"([{"role":"assistant","tool_calls":[{"type":"mcp"}]}])", "messages[0].tool_calls[0].type",
            "found \"mcp\""},
           {R"([{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"f","input":5}}]}])",
            "messages[0].tool_calls[0].custom.input", "expected a string, found a number"},
           {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]}])",
            "messages[0].tool_calls[0].function.arguments", "expected a string, found a number"},
           {R"([{"role":"tool","content":"x","tool_call_id":5}])", "messages[0].tool_call_id", "expected a string"}})
    expect_refused(parse_messages(refusal.text), refusal);
}

TEST(ChatRequest, WhatIsOverALimitIsTooLarge) {
  const std::string part = R"({"type":"text","text":"x"})";
  const std::string long_name(limits::kToolNameBytes + 1, 'n');
  const std::string tool = R"({"type":"other"})";
  expect_refused(
      parse_messages(fmt::format("[{}]", repeated(R"({"role":"user","content":"x"})", limits::kMessages + 1))),
      {"messages", "messages", "more than", Code::too_large});
  expect_refused(
      parse_messages(fmt::format(R"([{{"role":"user","content":[{}]}}])", repeated(part, limits::kContentParts + 1))),
      {"parts", "messages[0].content", "more than", Code::too_large});
  expect_refused(parse_with(fmt::format("\"tools\":[{}]", repeated(tool, limits::kTools + 1))),
                 {"tools", "tools", "more than", Code::too_large});
  expect_refused(parse_with(fmt::format(R"("tools":[{{"function":{{"name":"{}"}}}}])", long_name)),
                 {"name", "tools[0].function.name", "1 to 128 characters, found 129"});
  expect_refused(parse_with(fmt::format(R"("json_schema":{{"a":"{}"}})", std::string(limits::kToolSchemaBytes, 'a'))),
                 {"schema", "json_schema", "the schema has", Code::too_large});
  expect_refused(parse_with(fmt::format("\"stop\":[{}]", repeated("\"s\"", limits::kStops + 1))),
                 {"stops", "stop", "more than", Code::too_large});
  expect_refused(parse_with(fmt::format(R"("stop":"{}")", std::string(limits::kStopBytes + 1, 's'))),
                 {"stop", "stop", "1024 bytes", Code::too_large});
  expect_refused(parse_with(fmt::format("\"logit_bias\":[{}]", repeated("[1,1]", limits::kLogitBias + 1))),
                 {"bias", "logit_bias", "more than", Code::too_large});
}

}  // namespace
}  // namespace kvern::api
