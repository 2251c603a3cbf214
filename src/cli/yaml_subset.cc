#include "cli/yaml_subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace kvern::cli {
namespace {

constexpr std::size_t kTextBytes = 256 * 1024;
constexpr std::size_t kNesting = 16;
constexpr std::size_t kEntries = 10'000;

struct Line {
  std::size_t indent = 0;
  std::string_view text;  // without indentation, comment and blanks at the end; not empty
  int number = 0;
};

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// Where a quoted scalar that begins the text ends: behind its quote, or npos.
std::size_t end_of_quoted(std::string_view text) {
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '\'' && i + 1 < text.size() && text[i + 1] == '\'') {
        ++i;
      } else {
        return i + 1;
      }
    }
  }
  return std::string_view::npos;
}

// A '#' behind a blank, outside quotes, begins a comment.
std::string_view without_comment(std::string_view text) {
  bool at_begin = true;  // of a scalar: only there a quote is one
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (at_begin && (text[i] == '"' || text[i] == '\'')) {
      const std::size_t end = end_of_quoted(text.substr(i));
      if (end == std::string_view::npos) return text;
      i += end - 1;
      at_begin = false;
      continue;
    }
    if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) return text.substr(0, i);
    if (text[i] != ' ') at_begin = text[i] == ':' || text[i] == '-' || text[i] == ',' || text[i] == '[';
  }
  return text;
}

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  Result<std::vector<YamlEntry>> read(std::string_view text) {
    if (text.size() > kTextBytes) return fail(Code::invalid, fmt::format("larger than {} bytes", kTextBytes), name_);
    TRY_OK(split(text));
    if (!lines_.empty()) {
      TRY_OK(read_node("", lines_.front().indent, 0));
      if (next_ < lines_.size()) return wrong(lines_[next_].number, "this line is indented as nothing above it");
    }
    return std::move(entries_);
  }

 private:
  tl::unexpected<Error> wrong(int line, std::string what) const {
    return fail(Code::invalid, std::move(what), fmt::format("{}:{}", name_, line));
  }

  Status split(std::string_view text) {
    int number = 0;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++number;
      const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
      const bool tab = indent < line.size() && line[indent] == '\t';
      line = without_blanks(without_comment(line.substr(indent)));
      if (line.empty()) continue;
      if (line == "---" && lines_.empty()) continue;
      if (line == "...") break;
      if (line == "---") return wrong(number, "a second document is not read");
      if (tab) return wrong(number, "a tab cannot indent");
      lines_.push_back({indent, line, number});
    }
    return {};
  }

  // The map or list whose lines stand at this indentation.
  Status read_node(const std::string& path, std::size_t indent, std::size_t depth) {
    if (depth > kNesting) return wrong(lines_[next_].number, fmt::format("nested deeper than {}", kNesting));
    return is_item(lines_[next_].text) ? read_list(path, indent, depth) : read_map(path, indent, depth);
  }

  static bool is_item(std::string_view text) { return text == "-" || text.starts_with("- "); }

  Status read_list(const std::string& path, std::size_t indent, std::size_t depth) {
    for (std::size_t index = 0; next_ < lines_.size() && lines_[next_].indent == indent && is_item(lines_[next_].text);
         ++index) {
      Line& line = lines_[next_];
      const std::string item = fmt::format("{}[{}]", path, index);
      const std::string_view rest = without_blanks(line.text.substr(1));
      if (rest.empty()) {
        const int number = line.number;
        ++next_;
        TRY_OK(read_below(item, indent + 1, number, depth));
      } else if (is_item(rest) || key_of(rest)) {
        // "- a: 1": the item's map begins on this line, as if the dash were a blank.
        line.indent += static_cast<std::size_t>(rest.data() - line.text.data());
        line.text = rest;
        TRY_OK(read_node(item, line.indent, depth + 1));
      } else {
        TRY_OK(add_scalar(item, rest, line.number));
        ++next_;
      }
    }
    return {};
  }

  Status read_map(const std::string& path, std::size_t indent, std::size_t depth) {
    std::set<std::string, std::less<>> keys;
    while (next_ < lines_.size() && lines_[next_].indent == indent && !is_item(lines_[next_].text)) {
      const Line& line = lines_[next_];
      const auto colon = key_of(line.text);
      if (!colon) return wrong(line.number, "expected 'name: value'");
      TRY(std::string key, scalar(line.text.substr(0, *colon), line.number));
      if (!keys.insert(key).second) return wrong(line.number, fmt::format("'{}' is given twice", key));
      if (!path.empty()) key.insert(0, path + ".");
      const std::string_view rest = without_blanks(line.text.substr(*colon + 1));
      const int number = line.number;
      ++next_;
      if (!rest.empty()) {
        TRY_OK(add_scalar(key, rest, number));
      } else if (next_ < lines_.size() && lines_[next_].indent == indent && is_item(lines_[next_].text)) {
        TRY_OK(read_list(key, indent, depth + 1));  // a list may stand as far left as its name
      } else {
        TRY_OK(read_below(key, indent + 1, number, depth));
      }
    }
    return {};
  }

  // What is indented at least so far, or null.
  Status read_below(const std::string& path, std::size_t least, int number, std::size_t depth) {
    if (next_ < lines_.size() && lines_[next_].indent >= least) return read_node(path, lines_[next_].indent, depth + 1);
    return add({path, "", true, number});
  }

  // The colon that ends a key, if the text begins with one.
  static std::optional<std::size_t> key_of(std::string_view text) {
    std::size_t begin = 0;
    if (text.front() == '"' || text.front() == '\'') {
      begin = end_of_quoted(text);
      if (begin == std::string_view::npos) return std::nullopt;
    } else if (text.front() == '[' || text.front() == '{') {
      return std::nullopt;
    }
    for (std::size_t i = text.find(':', begin); i != std::string_view::npos; i = text.find(':', i + 1)) {
      if (i + 1 == text.size() || text[i + 1] == ' ') return i;
    }
    return std::nullopt;
  }

  Status add_scalar(const std::string& path, std::string_view text, int line) {
    if (text == "{}" || text == "[]") return add({path, "", true, line});
    if (text.front() == '[') return add_flow_list(path, text, line);
    const bool is_null = text == "null" || text == "~" || text == "Null" || text == "NULL";
    TRY(std::string value, scalar(text, line));
    return add({path, is_null ? "" : std::move(value), is_null, line});
  }

  Status add_flow_list(const std::string& path, std::string_view text, int line) {
    if (!text.ends_with(']')) return wrong(line, "a list in brackets must end on its line");
    text = without_blanks(text.substr(1, text.size() - 2));
    for (std::size_t index = 0; !text.empty(); ++index) {
      const bool quoted = text.front() == '"' || text.front() == '\'';
      const std::size_t end = quoted ? end_of_quoted(text) : std::min(text.find(','), text.size());
      if (end == std::string_view::npos) return wrong(line, "a quote is not closed");
      const std::string_view item = without_blanks(text.substr(0, end));
      if (item.empty() || item.front() == '[') return wrong(line, "expected a list of scalars");
      TRY_OK(add_scalar(fmt::format("{}[{}]", path, index), item, line));
      text = without_blanks(text.substr(end));
      if (text.empty()) break;
      if (text.front() != ',') return wrong(line, "expected ',' between the items of a list");
      text = without_blanks(text.substr(1));
    }
    return {};
  }

  Result<std::string> scalar(std::string_view text, int line) const {
    text = without_blanks(text);
    if (text.empty()) return wrong(line, "expected a name before ':'");
    const char first = text.front();
    if (first == '"' || first == '\'') {
      if (end_of_quoted(text) != text.size()) return wrong(line, "a quote is not closed, or something follows it");
      return unquoted(text, line);
    }
    if (first == '{') return wrong(line, "a map in braces is not read; write it line by line");
    if (std::string_view("&*!|>%@`").find(first) != std::string_view::npos)
      return wrong(line, fmt::format("YAML's '{}' is not read; write the value itself", first));
    return std::string(text);
  }

  Result<std::string> unquoted(std::string_view text, int line) const {
    const bool escapes = text.front() == '"';
    text = text.substr(1, text.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!escapes) {
        out += text[i];
        if (text[i] == '\'') ++i;  // '' is one quote
        continue;
      }
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char escaped = text[++i];  // end_of_quoted() saw to it that there is one
      const std::size_t known = std::string_view("nt\"\\/").find(escaped);
      if (known == std::string_view::npos) return wrong(line, fmt::format("the escape \\{} is not read", escaped));
      out += "\n\t\"\\/"[known];
    }
    return out;
  }

  Status add(YamlEntry entry) {
    if (entries_.size() == kEntries) return wrong(entry.line, fmt::format("more than {} values", kEntries));
    entries_.push_back(std::move(entry));
    return {};
  }

  const std::string& name_;
  std::vector<Line> lines_;
  std::size_t next_ = 0;
  std::vector<YamlEntry> entries_;
};

}  // namespace

Result<std::vector<YamlEntry>> read_yaml(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

}  // namespace kvern::cli
