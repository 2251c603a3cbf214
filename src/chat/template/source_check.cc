#include "chat/template/source_check.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace kvern::chat {
namespace {

using jinja::token;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool adds_a_node(const token& t) {
  switch (t.t) {
    case token::dot:
    case token::pipe:
    case token::equals:
    case token::additive_binary_operator:
    case token::multiplicative_binary_operator:
    case token::comparison_binary_operator:
    case token::unary_operator: return true;
    case token::identifier: return is_one_of(t.value, {"not", "and", "or", "in", "is", "if", "else"});
    default: return false;
  }
}

class DepthMeter {
 public:
  explicit DepthMeter(const std::vector<token>& tokens) : tokens_(tokens) {}

  Nesting measure() {
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      take(tokens_[at_]);
      if (depth() > deepest_.depth) deepest_ = {depth(), tokens_[at_].pos};
    }
    return deepest_;
  }

 private:
  void take(const token& t) {
    switch (t.t) {
      case token::open_expression: restart(); break;
      case token::open_statement:
        restart();
        open_statement();
        break;
      case token::open_paren:
      case token::open_square_bracket:
      case token::open_curly_bracket: open_bracket(); break;
      case token::close_paren:
      case token::close_square_bracket:
      case token::close_curly_bracket: close_bracket(); break;
      case token::comma:
      case token::colon: next_sibling(); break;
      default:
        if (adds_a_node(t)) add_operator();
    }
  }

  std::size_t depth() const { return blocks_total_ + operators_total_ + operators_.size(); }

  void restart() {
    operators_.assign(1, 0);
    operators_total_ = 0;
  }

  void open_bracket() {
    add_operator();  // it may be a call or an index on what stands before it
    operators_.push_back(0);
  }

  void close_bracket() {
    operators_total_ -= operators_.back();
    operators_.back() = 0;
    if (operators_.size() > 1) operators_.pop_back();
  }

  void next_sibling() {
    operators_total_ -= operators_.back();
    operators_.back() = 0;
  }

  void add_operator() {
    ++operators_.back();
    ++operators_total_;
  }

  void open_statement() {
    if (at_ + 1 >= tokens_.size() || tokens_[at_ + 1].t != token::identifier) return;
    const std::string& name = tokens_[at_ + 1].value;
    if (is_one_of(name, {"if", "for", "macro", "call", "filter"}) || (name == "set" && !assigns())) {
      blocks_.push_back(1);
      ++blocks_total_;
    } else if (name == "elif" && !blocks_.empty()) {
      ++blocks_.back();  // the engine nests it in the branch before
      ++blocks_total_;
    } else if (is_one_of(name, {"endif", "endfor", "endmacro", "endcall", "endfilter", "endset"}) && !blocks_.empty()) {
      blocks_total_ -= blocks_.back();
      blocks_.pop_back();
    }
  }

  // `{% set x = 1 %}` rather than `{% set x %}...{% endset %}`.
  bool assigns() const {
    std::size_t brackets = 0;
    for (std::size_t i = at_ + 2; i < tokens_.size() && tokens_[i].t != token::close_statement; ++i) {
      switch (tokens_[i].t) {
        case token::open_paren:
        case token::open_square_bracket:
        case token::open_curly_bracket: ++brackets; break;
        case token::close_paren:
        case token::close_square_bracket:
        case token::close_curly_bracket: brackets -= brackets > 0 ? 1 : 0; break;
        case token::equals:
          if (brackets == 0) return true;
          break;
        default: break;
      }
    }
    return false;
  }

  const std::vector<token>& tokens_;
  std::size_t at_ = 0;
  std::vector<std::size_t> blocks_;  // a block, and its elifs
  std::size_t blocks_total_ = 0;
  std::vector<std::size_t> operators_{0};  // of each open bracket, outermost first
  std::size_t operators_total_ = 0;
  Nesting deepest_;
};

}  // namespace

Nesting deepest_nesting(const std::vector<token>& tokens) { return DepthMeter(tokens).measure(); }

}  // namespace kvern::chat
