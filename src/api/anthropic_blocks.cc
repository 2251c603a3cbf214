#include "api/anthropic_blocks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kSeparator = "\n\n";

void join(std::string& out, std::string_view text) {
  if (!out.empty() && !text.empty()) out += kSeparator;
  out += text;
}

std::string placeholder(std::string_view what) { return fmt::format("[{}: this model reads text only]", what); }

// A field of no weight: of another type it is not there.
std::string text_or_nothing(const Fields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  const auto* text = value == nullptr ? nullptr : value->get_ptr<const std::string*>();
  return text == nullptr ? std::string() : *text;
}

Result<std::string> read_document(const Fields& block, OfferedTools& tools) {
  std::string out = text_or_nothing(block, "title");
  join(out, text_or_nothing(block, "context"));
  TRY(const std::optional<Fields> source, block.object("source"));
  const std::string kind = source ? text_or_nothing(*source, "type") : std::string();
  if (kind == "text") {
    join(out, text_or_nothing(*source, "data"));
  } else if (kind == "content" && source->find("content") != nullptr) {
    TRY(const std::string text, read_text(*source, "content", tools));
    join(out, text);
  } else {
    const std::string url = source ? text_or_nothing(*source, "url") : std::string();
    join(out, placeholder(url.empty() ? "document" : "document " + url));
  }
  return out;
}

Result<std::string> read_search_result(const Fields& block, OfferedTools& tools) {
  std::string out = text_or_nothing(block, "title");
  if (const std::string source = text_or_nothing(block, "source"); !source.empty())
    out += (out.empty() ? "" : " ") + fmt::format("({})", source);
  if (block.find("content") != nullptr) {
    TRY(const std::string text, read_text(block, "content", tools));
    join(out, text);
  }
  return out;
}

// What a type that is not known here may still say.
std::string read_unknown(const Fields& block, const std::string& type) {
  for (const char* name : {"text", "content"})
    if (std::string text = text_or_nothing(block, name); !text.empty()) return text;
  return placeholder(type);
}

std::string reference_line(const std::string& name, OfferedTools& tools) {
  std::string line = tools.show(name);
  return line.empty() ? fmt::format("[the tool {} is not available]", name) : line;
}

// A tool is named by a result (tool_name) or by a change of tools (tool.name).
std::string referred_tool(const Fields& block) {
  std::string name = text_or_nothing(block, "tool_name");
  if (const Json* tool = block.find("tool"); name.empty() && tool != nullptr && tool->is_object()) {
    const auto found = tool->find("name");
    if (found != tool->end() && found->is_string()) name = found->get<std::string>();
  }
  return name;
}

bool is_reference(std::string_view type) { return type == "tool_reference" || type == "tool_addition"; }

std::string functions_block(const std::string& lines) { return "<functions>\n" + lines + "</functions>"; }

// Collects blocks of text and rows of references.
class Joiner {
 public:
  explicit Joiner(OfferedTools& tools) : tools_(tools) {}

  Status add(const Block& block) {
    if (block.text != nullptr) {
      end_row();
      join(out_, *block.text);
      return {};
    }
    TRY(const Fields fields, Fields::of(*block.json, block.path));
    TRY(const std::string type, fields.required_text("type"));
    if (is_reference(type)) {
      row_ += reference_line(referred_tool(fields), tools_) + "\n";
      return {};
    }
    end_row();
    TRY(const std::string text, text_of_block(fields, type, tools_));
    join(out_, text);
    return {};
  }

  std::string finish() {
    end_row();
    return std::move(out_);
  }

 private:
  void end_row() {
    if (!row_.empty()) join(out_, functions_block(row_));
    row_.clear();
  }

  OfferedTools& tools_;
  std::string out_;
  std::string row_;
};

}  // namespace

Result<std::vector<Block>> blocks_of(const Fields& holder, std::string_view name) {
  const Json* content = holder.find(name);
  if (content == nullptr) return holder.missing(name, "a string or a list of blocks");
  const std::string path = holder.path_of(name);
  std::vector<Block> blocks;
  if (const auto* text = content->get_ptr<const std::string*>()) {
    blocks.push_back({text, nullptr, path});
    return blocks;
  }
  if (!content->is_array()) return mismatch(path, "a string or a list of blocks", *content);
  if (content->size() > limits::kContentParts)
    return fail(Code::too_large, fmt::format("more than {} blocks in one message", limits::kContentParts), path);
  for (std::size_t i = 0; i < content->size(); ++i) {
    const Json& block = (*content)[i];
    blocks.push_back({block.get_ptr<const std::string*>(), &block, indexed(path, i)});
  }
  return blocks;
}

Result<std::string> text_of_block(const Fields& block, const std::string& type, OfferedTools& tools) {
  if (type == "text") return block.required_text("text");
  if (type == "image") return placeholder("image");
  if (type == "document") return read_document(block, tools);
  if (type == "search_result") return read_search_result(block, tools);
  if (is_reference(type)) return functions_block(reference_line(referred_tool(block), tools) + "\n");
  if (type == "tool_removal") return fmt::format("[the tool {} is no longer available]", referred_tool(block));
  return read_unknown(block, type);
}

Result<std::string> text_of_blocks(std::span<const Block> blocks, OfferedTools& tools) {
  Joiner joiner(tools);
  for (const Block& block : blocks) TRY_OK(joiner.add(block));
  return joiner.finish();
}

Result<std::string> read_text(const Fields& holder, std::string_view name, OfferedTools& tools) {
  TRY(const std::vector<Block> blocks, blocks_of(holder, name));
  return text_of_blocks(blocks, tools);
}

}  // namespace kvern::api
