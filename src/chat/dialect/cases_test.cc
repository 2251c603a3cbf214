// The text-file cases of tests/dialects. A case is a model's output and the events it must give,
// whole, cut in two at every byte, and byte by byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "base/utf8.h"
#include "chat/dialect/test_parse.h"

namespace kvern::chat {
namespace {

namespace fs = std::filesystem;
using testing::bytewise;
using testing::parse;
using testing::readable;

struct Case {
  const Dialect* dialect = nullptr;
  ParserOptions options;
  TurnEnd end = TurnEnd::own;
  std::string output;
  std::string events;
};

// The text between two headings; up to the end when there is no second one.
std::string block(const std::string& file, const std::string& heading, const std::string& next) {
  const std::size_t at = file.find(heading);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + heading.size();
  return file.substr(begin, next.empty() ? std::string::npos : file.find(next, begin) - begin);
}

Case read_case(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  const std::string file = text.str();

  Case result;
  result.dialect = find_dialect(path.parent_path().filename().string());
  result.output = block(file, "\noutput:\n", "\nevents:\n");
  result.events = block(file, "\nevents:\n", "");
  const std::string options = block(file, "\noptions:", "\n");
  result.options.reasons = options.find(" reasons") != std::string::npos;
  result.options.in_reasoning = options.find("in_reasoning") != std::string::npos;
  if (options.find(" cut") != std::string::npos) result.end = TurnEnd::cut;
  const auto tools = parse_json(block(file, "tools:\n", options.empty() ? "\noutput:\n" : "\noptions:"));
  EXPECT_TRUE(tools.has_value()) << path;
  if (!tools) return result;
  for (const Json& tool : *tools)
    result.options.tools.push_back(
        {.name = tool["name"].get<std::string>(), .description = "", .parameters = dump_json(tool["parameters"])});
  return result;
}

std::vector<fs::path> case_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(KVERN_SOURCE_DIR) / "tests/dialects"))
    if (entry.path().extension() == ".case") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

class DialectCase : public ::testing::TestWithParam<fs::path> {};

TEST_P(DialectCase, GivesItsEventsHoweverItIsSplit) {
  const Case test = read_case(GetParam());
  ASSERT_NE(test.dialect, nullptr) << "the folder is not the name of a dialect";
  const std::string_view output = test.output;
  ASSERT_EQ(readable(parse(*test.dialect, test.options, {output}, test.end)), test.events);
  for (std::size_t cut = 0; cut <= output.size(); ++cut) {
    ASSERT_EQ(readable(parse(*test.dialect, test.options, {output.substr(0, cut), output.substr(cut)}, test.end)),
              test.events)
        << "cut at byte " << cut;
  }
  EXPECT_EQ(readable(parse(*test.dialect, test.options, bytewise(output), test.end)), test.events) << "byte by byte";
}

std::string text_of(const std::vector<Event>& events) {
  std::string out;
  for (const Event& event : events)
    if (const auto* text = std::get_if<TextEvent>(&event)) out += text->text;
  return out;
}

// Space at the end may have belonged to a mark.
std::string without_space(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

// Wherever max_tokens cuts a turn, a client sees the text that came before: of marks no more than a byte that could
// be anything.
TEST_P(DialectCase, CutAnywhereShowsNoMarks) {
  const Case test = read_case(GetParam());
  ASSERT_NE(test.dialect, nullptr);
  const std::vector<Event> all = parse(*test.dialect, test.options, {test.output});
  const bool calls = std::any_of(all.begin(), all.end(),
                                 [](const Event& event) { return std::holds_alternative<CallEndEvent>(event); });
  const std::string said = text_of(all);
  const std::string_view mark = test.dialect->trigger;
  if (!calls || said.find(mark.substr(0, 2)) != std::string::npos) return;  // its marks are text on purpose
  for (std::size_t cut = 0; cut <= test.output.size(); ++cut) {
    const std::string_view output = std::string_view(test.output).substr(0, cut);
    if (utf8_incomplete_suffix(output) > 0) continue;  // no token's text ends there
    const std::string text = without_space(text_of(parse(*test.dialect, test.options, {output}, TurnEnd::cut)));
    const std::string less = without_space(text.substr(0, text.size() - std::min<std::size_t>(text.size(), 1)));
    ASSERT_TRUE(said.starts_with(text) || said.starts_with(less)) << output << "\ngives " << text;
  }
}

std::string case_name(const ::testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, DialectCase, ::testing::ValuesIn(case_files()), case_name);

// A folder that moved would otherwise leave nothing to test.
TEST(DialectCases, EveryDialectHasAtLeastTwelve) {
  for (const Dialect* dialect : all_dialects()) {
    const auto files = case_files();
    const auto count = std::count_if(files.begin(), files.end(), [dialect](const fs::path& file) {
      return file.parent_path().filename() == fs::path(dialect->name);
    });
    EXPECT_GE(count, 12) << dialect->name;
  }
}

}  // namespace
}  // namespace kvern::chat
