// The records of the families with codecs of their own write what their vendors' templates do.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/arguments/literal_reader.h"
#include "chat/dialect/dialect.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

TEST(OddFamilies, WordsOfPythonBecomeJson) {
  const std::pair<const char*, const char*> words[] = {
      {"1_000", "1000"}, {"0x1F", "31"},    {"-0b11", "-3"},  {"007", "7"},     {".5", "0.5"},
      {"5.", "5.0"},     {"+1", "1"},       {"00", "0"},      {"-inf", "null"}, {"1e5", "1e5"},
      {"True", "true"},  {"5.e3", "5.0e3"}, {"0.50", "0.50"}, {"-0", "-0"}};
  for (const auto& [word, json] : words) EXPECT_EQ(word_as_json(word).value_or("none"), json) << word;
  for (const char* word : {"yes", "", "-", "1.2.3", "0x", "1e", "_"}) EXPECT_FALSE(word_as_json(word)) << word;
}

TEST(OddFamilies, GemmaSortsKeysAsItsTemplateDoes) {
  const Dialect& dialect = *find_dialect("gemma4");
  const ToolCall call{"", "f", R"({"b": 1, "C": null, "a": {"z": "x", "y": [true]}})"};
  EXPECT_EQ(render_calls(dialect, std::span(&call, 1)),
            "<|tool_call>call:f{a:{y:[true],z:<|\"|>x<|\"|>},b:1,C:None}<tool_call|>");
}

// Vendors' templates as llama.cpp ships them, given the calls that every record is recognised by.
struct VendorTemplate {
  const char* family;
  const char* file;
};

TEST(OddFamilies, VendorsTemplatesWriteTheSameCalls) {
  const std::filesystem::path folder = std::filesystem::path(KVERN_LLAMA_DIR) / "models" / "templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no llama.cpp templates at " << folder;
  for (const VendorTemplate& vendor :
       {VendorTemplate{"lfm2", "LFM2.5-8B-A1B.jinja"}, VendorTemplate{"gemma4", "google-gemma-4-31B-it.jinja"},
        VendorTemplate{"gemma4", "google-gemma-4-31B-it-interleaved.jinja"},
        VendorTemplate{"minimax-m3", "MiniMax-M3.jinja"}}) {
    std::ifstream file(folder / vendor.file);
    ASSERT_TRUE(file) << vendor.file;
    const auto parsed = JinjaTemplate::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_TRUE(parsed) << vendor.file << ": " << parsed.error().message;
    const auto calls = probe_calls(false);
    Json written = Json::array();
    Json offered = Json::array();
    for (const ToolCall& one : calls) {
      const Json arguments = parse_json(one.arguments).value();
      written.push_back(
          {{"id", one.id}, {"type", "function"}, {"function", {{"name", one.name}, {"arguments", arguments}}}});
      offered.push_back(
          {{"type", "function"},
           {"function",
            {{"name", one.name},
             {"description", "d"},
             {"parameters", {{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}}}}}});
    }
    const Json messages = {{{"role", "user"}, {"content", "q"}},
                           {{"role", "assistant"}, {"content", "a"}, {"tool_calls", written}}};
    const auto parts = (*parsed)->render({{"messages", messages}, {"tools", offered}, {"add_generation_prompt", false}},
                                         {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    ASSERT_TRUE(parts) << vendor.file << ": " << parts.error().message;
    std::string text;
    for (const RenderedPart& part : *parts) text += part.text;
    EXPECT_NE(text.find(render_calls(*find_dialect(vendor.family), calls)), std::string::npos) << vendor.file << text;
  }
}

}  // namespace
}  // namespace kvern::chat
