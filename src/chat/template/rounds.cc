#include "chat/template/rounds.h"

#include <algorithm>
#include <typeinfo>

#include "chat/template/statement_nodes.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kEventsMax = 64;  // of one round; more would cost more than they save

bool is_container(const jinja::value& value) {
  return is_val<jinja::value_array>(value) || is_val<jinja::value_object>(value);
}

bool same_text(const jinja::string& a, const jinja::string& b) {
  const auto same = [](const jinja::string_part& x, const jinja::string_part& y) {
    return x.is_input == y.is_input && x.val == y.val;
  };
  return std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), b.parts.end(), same);
}

}  // namespace

jinja::value CheckedNode::execute_impl(jinja::context& context) const {
  jinja::value value = inner_->execute(context);
  if (Recording* const recording = RenderState::current().recording()) recording->add_reading(*this, value);
  return value;
}

bool same_value(const jinja::value& a, const jinja::value& b) {
  if (a == b) return true;
  if (typeid(*a) != typeid(*b)) return false;
  if (is_val<jinja::value_string>(a)) return same_text(a->val_str, b->val_str);
  if (is_val<jinja::value_int>(a) || is_val<jinja::value_bool>(a)) return a->val_int == b->val_int;
  if (is_val<jinja::value_none>(a)) return true;
  if (const auto* missing = cast_val<jinja::value_undefined>(a))
    return missing->hint == cast_val<jinja::value_undefined>(b)->hint;
  return false;  // floats among them: rare, and not worth a thought about their zeros
}

bool Round::repeat(jinja::context& scope) const {
  RenderState& state = RenderState::current();
  const Spent before = state.spent();
  std::vector<MemberBefore> made;
  const auto same = [&](const Event& event) {
    if (event.reading != nullptr) return same_value(event.reading->read(scope), event.value);
    return event.assignment->repeat(event.value, scope, made);
  };
  bool all = false;
  try {
    all = std::all_of(events_.begin(), events_.end(), same);
  } catch (const TemplateError&) {  // the round itself will say it
  } catch (const std::exception&) {
  }
  state.set_spent(before);
  if (all) {
    state.spend(spent_);
  } else {
    for (auto last = made.rbegin(); last != made.rend(); ++last) last->put_back();
  }
  return all;
}

std::size_t Round::bytes() const {
  constexpr std::size_t kRoundBytes = 500;
  constexpr std::size_t kEventBytes = 300;  // with a value of its own
  std::size_t bytes = kRoundBytes + events_.size() * kEventBytes;
  for (const jinja::string_part& part : text_->val_str.parts) bytes += sizeof part + part.val.capacity();
  for (const Event& event : events_)
    if (is_val<jinja::value_string>(event.value)) bytes += event.value->val_str.length();
  return bytes;
}

void Recording::add(Round::Event event) {
  // Another container may be made anew by every render, or say something else by the time it is compared.
  const bool plain =
      !is_container(event.value) && !is_val<jinja::value_func>(event.value) && !is_val<jinja::value_kwarg>(event.value);
  usable_ = usable_ && round_.events_.size() < kEventsMax && (plain || state_.is_prepared(event.value));
  if (usable_) round_.events_.push_back(std::move(event));
}

std::shared_ptr<const Round> Recording::finish(jinja::value text) {
  if (!usable_) return nullptr;
  round_.text_ = std::move(text);
  round_.spent_ = state_.spent() - before_;
  return std::make_shared<const Round>(std::move(round_));
}

}  // namespace kvern::chat
