#include "chat/template/string_functions.h"

#include <algorithm>
#include <string>
#include <vector>

#include "chat/template/global_functions.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"

namespace kvern::chat {
namespace {

using jinja::func_args;

std::string string_at(const func_args& args, std::size_t index) {
  const jinja::value value = args.get_pos(index);
  if (!is_val<jinja::value_string>(value)) throw TemplateError{"'" + args.func_name + "' takes strings"};
  return value->val_str.str();
}

struct Piece {
  std::size_t from = 0;
  std::size_t to = 0;
};

// Costs a step a piece, so that the list is bounded while it grows.
void add_piece(std::vector<Piece>& pieces, Piece piece) {
  RenderState::current().step();
  pieces.push_back(piece);
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Python's split(): runs of whitespace separate, none at the ends.
std::vector<Piece> words(const std::string& text, std::int64_t splits_max) {
  std::vector<Piece> pieces;
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) return pieces;
    if (splits_max >= 0 && pieces.size() == static_cast<std::size_t>(splits_max)) {
      std::size_t end = text.size();
      while (is_space(text[end - 1])) --end;
      add_piece(pieces, {at, end});
      return pieces;
    }
    const std::size_t start = at;
    while (at < text.size() && !is_space(text[at])) ++at;
    add_piece(pieces, {start, at});
  }
}

std::vector<Piece> pieces_from_left(const std::string& text, const std::string& delimiter, std::int64_t splits_max) {
  std::vector<Piece> pieces;
  std::size_t start = 0;
  for (std::int64_t splits = 0; splits_max < 0 || splits < splits_max; ++splits) {
    const std::size_t found = text.find(delimiter, start);
    if (found == std::string::npos) break;
    add_piece(pieces, {start, found});
    start = found + delimiter.size();
  }
  pieces.push_back({start, text.size()});
  return pieces;
}

std::vector<Piece> pieces_from_right(const std::string& text, const std::string& delimiter, std::int64_t splits_max) {
  std::vector<Piece> pieces;
  std::size_t end = text.size();
  for (std::int64_t splits = 0; splits_max < 0 || splits < splits_max; ++splits) {
    if (end < delimiter.size()) break;
    const std::size_t found = text.rfind(delimiter, end - delimiter.size());
    if (found == std::string::npos) break;
    add_piece(pieces, {found + delimiter.size(), end});
    end = found;
  }
  pieces.push_back({0, end});
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

enum class From { left, right };

template <From from>
jinja::value split(const func_args& args) {
  args.ensure_count(1, 3);
  const std::string text = string_at(args, 0);
  const jinja::value separator = args.get_kwarg_or_pos("sep", 1);
  const jinja::value maximum = args.get_kwarg_or_pos("maxsplit", 2);
  const std::int64_t splits_max = is_val<jinja::value_int>(maximum) ? maximum->as_int() : -1;
  std::vector<Piece> pieces;
  if (separator->is_none() || separator->is_undefined()) {
    pieces = words(text, splits_max);
  } else {
    const std::string delimiter = text_of(separator).str();
    if (delimiter.empty()) throw TemplateError{"'split' takes no empty separator"};
    pieces = from == From::left ? pieces_from_left(text, delimiter, splits_max)
                                : pieces_from_right(text, delimiter, splits_max);
  }
  auto result = mk_val<jinja::value_array>();
  const jinja::string& source = args.get_pos(0)->val_str;
  for (const Piece& piece : pieces) {
    result->push_back(mk_val<jinja::value_string>(part_of(source, piece.from, piece.to)));
  }
  return result;
}

std::vector<Piece> matches_of(const std::string& text, const std::string& old_text, std::int64_t count) {
  std::vector<Piece> matches;
  std::size_t at = 0;
  while (count < 0 || matches.size() < static_cast<std::size_t>(count)) {
    const std::size_t found = text.find(old_text, at);
    if (found == std::string::npos) break;
    add_piece(matches, {found, found + old_text.size()});
    at = found + std::max<std::size_t>(old_text.size(), 1);
    if (at > text.size()) break;
  }
  return matches;
}

jinja::value replace(const func_args& args) {
  args.ensure_count(3, 4);
  const std::string text = string_at(args, 0);
  const std::string old_text = string_at(args, 1);
  const jinja::string new_text = text_of(args.get_pos(2));
  const jinja::value limit = args.get_kwarg_or_pos("count", 3);
  const std::int64_t count = is_val<jinja::value_int>(limit) ? limit->as_int() : -1;
  const std::vector<Piece> matches = matches_of(text, old_text, count);
  RenderState& state = RenderState::current();
  state.check_size(text.size() + matches.size() * new_text.length());
  state.work(text.size() + matches.size() * (new_text.length() + 1));

  const jinja::string& source = args.get_pos(0)->val_str;
  state.work(matches.size() * source.parts.size());
  jinja::string result;
  std::size_t at = 0;
  for (const Piece& match : matches) {
    append_text(result, part_of(source, at, match.from));
    append_text(result, new_text);
    at = match.to;
  }
  append_text(result, part_of(source, at, text.size()));
  return mk_val<jinja::value_string>(result);
}

jinja::value length(const func_args& args) {
  const std::string text = string_at(args, 0);
  return mk_val<jinja::value_int>(static_cast<std::int64_t>(Characters(text).count()));
}

// Python's text[start:stop:step]; MemberNode gives all three.
jinja::value slice(const func_args& args) {
  args.ensure_count(4, 4);
  const Characters characters(string_at(args, 0));
  const auto size = static_cast<std::int64_t>(characters.count());
  const std::int64_t step = args.get_pos(3)->as_int();
  if (step == 0) throw TemplateError{"a slice takes no step of zero"};
  const std::int64_t lowest = step > 0 ? 0 : -1;
  const auto position = [&](std::size_t index) {
    const std::int64_t given = args.get_pos(index)->as_int();
    return std::clamp(given < 0 ? given + size : given, lowest, lowest + size);
  };
  const std::int64_t start = position(1);
  // MemberNode's -1 for "to the very front" would be the last character.
  const std::int64_t stop = step < 0 && args.get_pos(2)->as_int() == -1 ? -1 : position(2);
  const jinja::string& source = args.get_pos(0)->val_str;
  jinja::string result;
  if (step == 1) {
    if (start < stop)
      result = part_of(source, characters.begin(static_cast<std::size_t>(start)),
                       characters.begin(static_cast<std::size_t>(stop)));
    return mk_val<jinja::value_string>(result);
  }
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
    RenderState::current().step(1 + source.parts.size());
    const auto at = static_cast<std::size_t>(i);
    append_text(result, part_of(source, characters.begin(at), characters.begin(at + 1)));
  }
  return mk_val<jinja::value_string>(result);
}

// The engine marks the result by the text alone; the indent may be input as well.
jinja::value indent(const func_args& args) {
  const jinja::value width = args.get_kwarg_or_pos("width", 1);
  jinja::string margin = trusted_text("    ");
  if (is_val<jinja::value_int>(width))
    margin = trusted_text(std::string(static_cast<std::size_t>(width->as_int()), ' '));
  if (is_val<jinja::value_string>(width)) margin = width->val_str;
  const bool first = args.get_kwarg_or_pos("first", 2)->as_bool();
  const bool blank = args.get_kwarg_or_pos("blank", 3)->as_bool();

  const std::string text = string_at(args, 0);
  const std::vector<Piece> lines = pieces_from_left(text, "\n", -1);
  RenderState& state = RenderState::current();
  state.check_size(text.size() + lines.size() * margin.length());
  state.work(text.size() + lines.size() * (margin.length() + args.get_pos(0)->val_str.parts.size()));
  jinja::string result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool is_blank = lines[i].from == lines[i].to;
    if (i == 0 ? first : (blank || !is_blank)) append_text(result, margin);
    const std::size_t end = std::min(lines[i].to + 1, text.size());
    append_text(result, part_of(args.get_pos(0)->val_str, lines[i].from, end));
  }
  return mk_val<jinja::value_string>(result);
}

}  // namespace

jinja::func_builtins string_functions() {
  return {{"split", split<From::left>}, {"rsplit", split<From::right>},
          {"replace", replace},         {"indent", indent},
          {"length", length},           {"slice", slice},
          {"tojson", to_json_function}};
}

}  // namespace kvern::chat
