#include "engine/fake/pattern.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace kvern::engine {
namespace {

using Op = Pattern::Op;
using Step = Pattern::Step;
using Steps = std::vector<Step>;
using ByteSet = std::bitset<256>;

constexpr std::size_t kStepsMax = 4096;
constexpr int kNestingMax = 64;
constexpr int kRepeatMax = 256;

ByteSet range(int from, int to) {
  ByteSet set;
  for (int byte = from; byte <= to; ++byte) set.set(static_cast<std::size_t>(byte));
  return set;
}

ByteSet word_bytes() { return range('a', 'z') | range('A', 'Z') | range('0', '9') | range('_', '_'); }
ByteSet space_bytes() { return range('\t', '\r') | range(' ', ' '); }

int lowest(const ByteSet& set) {
  int byte = 0;
  while (byte < 256 && !set.test(static_cast<std::size_t>(byte))) ++byte;
  return byte;
}

// Recursive descent straight to steps. Jumps are absolute, so a fragment that is placed again
// (by x{3}) is moved by its distance.
class Compiler {
 public:
  explicit Compiler(std::string_view source) : source_(source) {}

  Result<Steps> run() {
    TRY(Steps body, alternatives());
    if (at_ < source_.size()) return wrong("a ')' without its '('");
    Steps whole{save(0)};
    place(whole, body);
    whole.push_back(save(1));
    whole.push_back(Step{Op::match, 0, 0, {}});
    return whole;
  }

  int groups() const { return groups_; }

 private:
  static Step save(int slot) { return {Op::save, slot, 0, {}}; }

  static void place(Steps& out, const Steps& fragment) {
    const int distance = static_cast<int>(out.size());
    for (Step step : fragment) {
      if (step.op == Op::split || step.op == Op::jump) step.first += distance;
      if (step.op == Op::split) step.second += distance;
      out.push_back(step);
    }
  }

  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::invalid, fmt::format("the pattern has {} at character {}", what, at_ + 1));
  }

  bool more() const { return at_ < source_.size(); }
  char peek() const { return source_[at_]; }
  bool take(std::string_view text) {
    if (source_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }

  Result<Steps> alternatives() {
    if (++nesting_ > kNestingMax) return wrong("groups nested too deeply");
    TRY(Steps left, sequence());
    while (take("|")) {
      TRY(const Steps right, sequence());
      Steps both{Step{Op::split, 1, static_cast<int>(left.size()) + 2, {}}};
      place(both, left);
      both.push_back({Op::jump, static_cast<int>(left.size() + right.size()) + 2, 0, {}});
      place(both, right);
      left = std::move(both);
    }
    --nesting_;
    return left;
  }

  Result<Steps> sequence() {
    Steps out;
    while (more() && peek() != '|' && peek() != ')') {
      TRY(const Steps atom, this->atom());
      TRY(const Steps repeated, repeat(atom));
      place(out, repeated);
      if (out.size() > kStepsMax) return wrong("too many steps");
    }
    return out;
  }

  Result<Steps> repeat(const Steps& atom) {
    int least = 1;
    int most = 1;  // -1: no end
    if (take("*")) {
      least = 0, most = -1;
    } else if (take("+")) {
      most = -1;
    } else if (take("?")) {
      least = 0;
    } else if (take("{")) {
      TRY_OK(bounds(least, most));
    } else {
      return atom;
    }
    const bool lazy = take("?");
    const std::size_t copies = static_cast<std::size_t>(std::max(least, most) + 1);
    if (copies * (atom.size() + 2) > kStepsMax) return wrong("a repetition of too many steps");
    Steps out;
    for (int i = 0; i < least; ++i) place(out, atom);
    for (int i = least; i < most; ++i) place(out, optional(atom, lazy));
    if (most < 0) place(out, star(atom, lazy));
    return out;
  }

  static Step fork(int into, int past, bool lazy) {
    return lazy ? Step{Op::split, past, into, {}} : Step{Op::split, into, past, {}};
  }

  static Steps optional(const Steps& atom, bool lazy) {
    Steps out{fork(1, static_cast<int>(atom.size()) + 1, lazy)};
    place(out, atom);
    return out;
  }

  static Steps star(const Steps& atom, bool lazy) {
    Steps out{fork(1, static_cast<int>(atom.size()) + 2, lazy)};
    place(out, atom);
    out.push_back({Op::jump, 0, 0, {}});
    return out;
  }

  Status bounds(int& least, int& most) {
    if (!number(least)) return wrong("a '{' without a number");
    most = least;
    if (take(",") && !number(most)) most = -1;
    if (!take("}")) return wrong("a '{' without its '}'");
    if (most >= 0 && most < least) return wrong("a repetition whose end is below its beginning");
    return {};
  }

  bool number(int& value) {
    const std::size_t begin = at_;
    value = 0;
    while (more() && peek() >= '0' && peek() <= '9')
      value = std::min(value * 10 + (source_[at_++] - '0'), kRepeatMax + 1);
    return at_ > begin && value <= kRepeatMax;
  }

  Result<Steps> atom() {
    if (take("(")) return group();
    if (take("^")) return Steps{Step{Op::line_begin, 0, 0, {}}};
    if (take("$")) return Steps{Step{Op::line_end, 0, 0, {}}};
    if (take("\\b")) return Steps{Step{Op::word_edge, 0, 0, {}}};
    if (take("\\B")) return Steps{Step{Op::no_word_edge, 0, 0, {}}};
    if (take(".")) return Steps{Step{Op::byte, 0, 0, ~(range('\n', '\n') | range('\r', '\r'))}};
    ByteSet set;
    if (take("[")) {
      TRY(set, byte_class());
    } else if (take("\\")) {
      TRY(set, escape());
    } else if (std::string_view("*+?{").find(peek()) != std::string_view::npos) {
      return wrong("a repetition of nothing");
    } else {
      set.set(static_cast<unsigned char>(source_[at_++]));
    }
    return Steps{Step{Op::byte, 0, 0, set}};
  }

  Result<Steps> group() {
    const bool silent = take("?:");
    if (!silent && more() && peek() == '?') return wrong("a group of a kind that is not supported");
    const int index = silent ? 0 : ++groups_;
    TRY(const Steps body, alternatives());
    if (!take(")")) return wrong("a '(' without its ')'");
    if (silent) return body;
    Steps out{save(2 * index)};
    place(out, body);
    out.push_back(save(2 * index + 1));
    return out;
  }

  Result<ByteSet> escape() {
    if (!more()) return wrong("a '\\' before nothing");
    const char c = source_[at_++];
    switch (c) {
      case 'd': return range('0', '9');
      case 'D': return ~range('0', '9');
      case 'w': return word_bytes();
      case 'W': return ~word_bytes();
      case 's': return space_bytes();
      case 'S': return ~space_bytes();
      case 'n': return range('\n', '\n');
      case 't': return range('\t', '\t');
      case 'r': return range('\r', '\r');
      case 'x': {
        if (at_ + 2 > source_.size()) return wrong("an \\x without two digits");
        const int high = hex_value(source_[at_]);
        const int low = hex_value(source_[at_ + 1]);
        if (high < 0 || low < 0) return wrong("an \\x without two digits");
        at_ += 2;
        return range(high * 16 + low, high * 16 + low);
      }
      default: break;
    }
    if (word_bytes().test(static_cast<unsigned char>(c))) return wrong("an escape that is not supported");
    return range(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
  }

  Result<ByteSet> class_member() {
    if (take("\\")) return escape();
    const auto byte = static_cast<unsigned char>(source_[at_++]);
    if (byte >= 0x80) return wrong("a character outside ASCII in [ ]");
    return range(byte, byte);
  }

  Result<ByteSet> byte_class() {
    const bool negated = take("^");
    ByteSet set;
    while (more() && peek() != ']') {
      TRY(ByteSet low, class_member());
      if (at_ + 1 < source_.size() && peek() == '-' && source_[at_ + 1] != ']') {
        ++at_;
        TRY(const ByteSet high, class_member());
        if (low.count() != 1 || high.count() != 1) return wrong("a range between more than two characters");
        const int from = lowest(low);
        const int to = lowest(high);
        if (to < from) return wrong("a range that runs backwards");
        low = range(from, to);
      }
      set |= low;
    }
    if (!take("]")) return wrong("a '[' without its ']'");
    return negated ? ~set : set;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  int groups_ = 0;
};

// Pike's machine: all ways to match advance together, one per step, in order of preference.
class Machine {
 public:
  Machine(const Steps& steps, std::size_t slots, std::string_view text)
      : steps_(steps), text_(text), now_(steps.size(), slots), next_(steps.size(), slots) {}

  std::vector<int> run(std::size_t slots) {
    std::vector<int> found;
    std::vector<int> unset(slots, -1);  // enter() leaves it as it was
    for (std::size_t at = 0;; ++at) {
      if (found.empty()) enter(now_, 0, at, unset);
      if (!advance(at, found) || (next_.order.empty() && !found.empty())) break;
      std::swap(now_, next_);
      next_.clear();
    }
    return found;
  }

 private:
  struct Threads {
    Threads(std::size_t steps, std::size_t slots_) : slots(steps, std::vector<int>(slots_)), present(steps, 0) {}
    void clear() {
      for (const int step : order) present[static_cast<std::size_t>(step)] = 0;
      for (const int step : passed) present[static_cast<std::size_t>(step)] = 0;
      order.clear();
      passed.clear();
    }
    std::vector<int> order;               // byte and match steps, the preferred first
    std::vector<int> passed;              // the others that were entered
    std::vector<std::vector<int>> slots;  // by step
    std::vector<char> present;            // by step
  };

  bool word_at(std::size_t at) const {
    static const ByteSet kWord = word_bytes();
    return at < text_.size() && kWord.test(static_cast<unsigned char>(text_[at]));
  }

  bool holds(Op op, std::size_t at) const {
    const bool edge = word_at(at) != (at > 0 && word_at(at - 1));
    switch (op) {
      case Op::line_begin: return at == 0 || text_[at - 1] == '\n';
      case Op::line_end: return at == text_.size() || text_[at] == '\n';
      case Op::word_edge: return edge;
      case Op::no_word_edge: return !edge;
      default: return true;
    }
  }

  // Follows steps that take no byte. Recursion is bounded by the steps, each entered once.
  void enter(Threads& threads, int index, std::size_t at, std::vector<int>& slots) const {
    const auto i = static_cast<std::size_t>(index);
    if (threads.present[i]) return;
    threads.present[i] = 1;
    const Step& step = steps_[i];
    if (step.op == Op::byte || step.op == Op::match) {
      threads.slots[i] = slots;
      threads.order.push_back(index);
      return;
    }
    threads.passed.push_back(index);
    if (step.op == Op::split) {
      enter(threads, step.first, at, slots);
      enter(threads, step.second, at, slots);
    } else if (step.op == Op::jump) {
      enter(threads, step.first, at, slots);
    } else if (step.op == Op::save) {
      int& slot = slots[static_cast<std::size_t>(step.first)];
      const int before = slot;
      slot = static_cast<int>(at);
      enter(threads, index + 1, at, slots);
      slot = before;
    } else if (holds(step.op, at)) {
      enter(threads, index + 1, at, slots);
    }
  }

  // False at the end of the text.
  bool advance(std::size_t at, std::vector<int>& found) {
    for (const int index : now_.order) {
      const auto i = static_cast<std::size_t>(index);
      if (steps_[i].op == Op::match) {
        found = now_.slots[i];
        break;  // what follows is less preferred
      }
      if (at < text_.size() && steps_[i].bytes.test(static_cast<unsigned char>(text_[at])))
        enter(next_, index + 1, at + 1, now_.slots[i]);
    }
    return at < text_.size();
  }

  const Steps& steps_;
  std::string_view text_;
  Threads now_;
  Threads next_;
};

}  // namespace

Result<Pattern> Pattern::compile(std::string_view source) {
  Compiler compiler(source);
  Pattern pattern;
  TRY(pattern.steps_, compiler.run());
  pattern.groups_ = compiler.groups();
  return pattern;
}

std::optional<std::vector<std::string>> Pattern::search(std::string_view text) const {
  const std::size_t slots = 2 * (static_cast<std::size_t>(groups_) + 1);
  const std::vector<int> found = Machine(steps_, slots, text).run(slots);
  if (found.empty()) return std::nullopt;
  std::vector<std::string> groups;
  for (std::size_t i = 0; i < slots; i += 2) {
    const auto begin = static_cast<std::size_t>(found[i]);
    const bool took_part = found[i] >= 0 && found[i + 1] >= found[i];
    groups.emplace_back(took_part ? text.substr(begin, static_cast<std::size_t>(found[i + 1] - found[i])) : "");
  }
  return groups;
}

}  // namespace kvern::engine
