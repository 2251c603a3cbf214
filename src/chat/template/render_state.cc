#include "chat/template/render_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "chat/template/prepared_value.h"

namespace kvern::chat {
namespace {

// Levels a template may add to the input's own.
constexpr int kValueLevels = static_cast<int>(limits::kJsonDepth + limits::kTemplateNesting);

// Levels that changing containers already inside others may add in all.
constexpr int kGrownLevels = 1000;

constexpr std::size_t kBytesAStep = 256;
constexpr std::size_t kItemsAStep = 8;

thread_local RenderState* current_state = nullptr;

std::uintptr_t stack_position() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

bool is_container(const jinja::value& value) {
  return is_val<jinja::value_array>(value) || is_val<jinja::value_object>(value);
}

}  // namespace

RenderState::RenderState() : previous_(current_state), stack_start_(stack_position()) { current_state = this; }

RenderState::~RenderState() { current_state = previous_; }

RenderState& RenderState::current() {
  CHECK(current_state != nullptr);
  return *current_state;
}

void RenderState::step(std::size_t steps) {
  steps_ += steps;
  if (steps_ > limits::kTemplateSteps)
    throw TemplateError{fmt::format("the template does not end within {} steps", limits::kTemplateSteps)};
}

void RenderState::enter() {
  step();
  const std::uintptr_t here = stack_position();
  const std::uintptr_t used = here < stack_start_ ? stack_start_ - here : here - stack_start_;
  if (used > limits::kTemplateStackBytes)
    throw TemplateError{"the template recurses too deeply; does a macro call itself without end?"};
}

void RenderState::work(std::size_t bytes) {
  bytes_ += bytes;
  step(bytes_ / kBytesAStep);
  bytes_ %= kBytesAStep;
}

void RenderState::write(std::size_t bytes) {
  written_ += bytes;
  check_size(written_);
  work(bytes);
}

void RenderState::check_size(std::size_t bytes) {
  if (bytes > limits::kRenderedBytes)
    throw TemplateError{fmt::format("the template writes more than {} bytes", limits::kRenderedBytes)};
}

void RenderState::work_on(const jinja::value& value) {
  if (is_val<jinja::value_string>(value)) {
    work(value->val_str.length() + value->val_str.parts.size());
  } else {
    step((value->val_arr.size() + value->val_obj.size()) / kItemsAStep);
  }
}

void RenderState::spend(const Spent& spent) {
  work(spent.work);
  written_ += spent.written;
  check_size(written_);
}

Spent RenderState::spent() const { return {steps_ * kBytesAStep + bytes_, written_}; }

void RenderState::set_spent(const Spent& spent) {
  steps_ = spent.work / kBytesAStep;
  bytes_ = spent.work % kBytesAStep;
  written_ = spent.written;
}

std::size_t RenderState::text_size(const jinja::value& value) {
  std::size_t visits = 0;
  const std::size_t size = text_size(value, visits);
  check_size(size);
  return size;
}

std::size_t RenderState::text_size(const jinja::value& value, std::size_t& visits) {
  constexpr std::size_t kPunctuation = 4;
  if (++visits % kItemsAStep == 0) step();
  if (is_val<jinja::value_string>(value)) return value->val_str.length() + kPunctuation;
  if (const auto* function = cast_val<jinja::value_func>(value))
    return function->arg0 ? kPunctuation + text_size(function->arg0, visits) : kPunctuation;
  std::size_t size = 8;
  for (const jinja::value& item : value->val_arr) size += text_size(item, visits);
  for (const auto& [key, item] : value->val_obj) size += text_size(key, visits) + text_size(item, visits);
  check_size(size);
  return size;
}

void RenderState::add_input(const jinja::value& container, int height) { input_heights_[container.get()] = height; }

void RenderState::add_prepared(std::shared_ptr<const PreparedValue> prepared) {
  prepared_.push_back(std::move(prepared));
}

void RenderState::add_items(std::span<const std::shared_ptr<const PreparedValue>> items) {
  for (const auto& item : items)
    if (items_.emplace(item->value().get(), item).second) new_items_.push_back(item);
}

const PreparedValue* RenderState::item_of(const jinja::value& value) const {
  const auto known = items_.find(value.get());
  return known == items_.end() ? nullptr : known->second.get();
}

const PreparedValue* RenderState::prepared_with(const jinja::value& container) const {
  for (const auto& prepared : prepared_)
    if (prepared->height_of(container)) return prepared.get();
  return nullptr;
}

bool RenderState::is_prepared(const jinja::value& container) const {
  return item_height(container).has_value() || prepared_with(container) != nullptr;
}

std::optional<int> RenderState::item_height(const jinja::value& value) const {
  for (const auto& item : new_items_) item_heights_.insert(item->heights().begin(), item->heights().end());
  new_items_.clear();
  const auto known = item_heights_.find(value.get());
  return known == item_heights_.end() ? std::nullopt : std::optional(known->second);
}

std::optional<int> RenderState::input_height(const jinja::value& value) const {
  if (const auto height = item_height(value)) return height;
  if (const auto known = input_heights_.find(value.get()); known != input_heights_.end()) return known->second;
  const PreparedValue* const prepared = prepared_with(value);
  return prepared != nullptr ? prepared->height_of(value) : std::nullopt;
}

void RenderState::check_value(const jinja::value& value) {
  Walk walk;
  height(value, kValueLevels + kGrownLevels, walk);
}

void RenderState::check_changeable(const jinja::value& container) const {
  if (input_height(container)) throw TemplateError{"the template changes its input"};
}

void RenderState::check_change(const jinja::value& container, const jinja::value& value) {
  check_changeable(container);
  if (is_val<jinja::value_func>(value)) throw TemplateError{"the template stores a function in a value"};
  Walk walk{container.get()};
  const int levels = height(value, kValueLevels, walk);
  if (levels == 0) return;
  Grown& grown = grown_[container.get()];
  if (grown.container.lock() != container) grown = {container, 0};
  if (levels <= grown.levels) return;
  grown_levels_ += levels - grown.levels;
  grown.levels = levels;
  if (grown_levels_ > kGrownLevels) forget_destroyed();
  if (grown_levels_ > kGrownLevels) throw TemplateError{"the template nests its values too deeply"};
}

void RenderState::forget_destroyed() {
  step(grown_.size() / kItemsAStep);
  std::erase_if(grown_, [](const auto& entry) { return entry.second.container.expired(); });
  grown_levels_ = 0;
  for (const auto& [_, grown] : grown_) grown_levels_ += grown.levels;
}

int RenderState::height(const jinja::value& value, int levels_left, Walk& walk) {
  const auto* keyword = cast_val<jinja::value_kwarg>(value);
  if (keyword == nullptr && !is_container(value)) return 0;
  if (value.get() == walk.forbidden) throw TemplateError{"the template puts a value into itself"};
  if (const auto known = input_height(value)) return *known;
  if (levels_left <= 0) throw TemplateError{"the template nests its values too deeply"};
  if (keyword != nullptr) return 1 + height(keyword->val, levels_left - 1, walk);
  return container_height(*value, levels_left, walk);
}

int RenderState::container_height(const jinja::value_t& value, int levels_left, Walk& walk) {
  int deepest = 0;
  const auto visit = [&](const jinja::value& item) {
    if (++walk.visits % kItemsAStep == 0) step();
    // A method is bound to its object, so that a stored one could close a cycle.
    if (is_val<jinja::value_func>(item)) throw TemplateError{"the template stores a function in a value"};
    deepest = std::max(deepest, height(item, levels_left - 1, walk));
  };
  for (const jinja::value& item : value.val_arr) visit(item);
  for (const auto& [key, item] : value.val_obj) {
    visit(key);  // a tuple can be a key
    visit(item);
  }
  return 1 + deepest;
}

}  // namespace kvern::chat
