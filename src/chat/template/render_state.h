// What one render has used up of its limits. The nodes of nodes.h report to it as they run.
//
// Values are kept free of cycles and of deep nesting as they are built, because the engine prints,
// compares and destroys them recursively. Thread: the one that renders; current() finds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

class PreparedValue;
class Recording;

// What was used up so far, or by something.
struct Spent {
  std::size_t work = 0;     // bytes; a step is some of them
  std::size_t written = 0;  // bytes of output
  Spent operator-(const Spent& before) const { return {work - before.work, written - before.written}; }
};

class RenderState {
 public:
  RenderState();  // becomes the thread's current one until it is destroyed
  ~RenderState();
  RenderState(const RenderState&) = delete;
  RenderState& operator=(const RenderState&) = delete;

  static RenderState& current();

  // All of these throw TemplateError when a limit is reached.
  void step(std::size_t steps = 1);
  void enter();                        // a call: one step, and is there stack left?
  void work(std::size_t bytes);        // bytes copied or searched; a quarter of a kilobyte costs a step
  void write(std::size_t bytes);       // bytes that became output
  void check_size(std::size_t bytes);  // of one string, before it is made
  void work_on(const jinja::value& value);
  void spend(const Spent& spent);
  Spent spent() const;
  void set_spent(const Spent& spent);
  std::size_t text_size(const jinja::value& value);  // about what printing it takes

  // A container of the input and how many levels it has. Templates cannot change it.
  void add_input(const jinja::value& container, int height);
  // All containers of it are.
  void add_prepared(std::shared_ptr<const PreparedValue> prepared);
  // The items of a list of the input, each prepared: what a round over one came to can be kept with it.
  void add_items(std::span<const std::shared_ptr<const PreparedValue>> items);
  // The prepared item that is this value, or null.
  const PreparedValue* item_of(const jinja::value& value) const;
  // The container was made before this render, and will be the same one in others.
  bool is_prepared(const jinja::value& container) const;

  // The round that is written down, or null.
  Recording* recording() const { return recording_; }
  void set_recording(Recording* recording) { recording_ = recording; }

  // The prepared value a container is part of, or null.
  const PreparedValue* prepared_with(const jinja::value& container) const;

  // value is about to be bound to a name: refuses deep nesting and stored functions.
  void check_value(const jinja::value& value);

  // value is about to be put into container: refuses cycles as well.
  void check_change(const jinja::value& container, const jinja::value& value);
  void check_changeable(const jinja::value& container) const;

 private:
  struct Walk {
    const jinja::value_t* forbidden = nullptr;
    std::size_t visits = 0;
  };
  int height(const jinja::value& value, int levels_left, Walk& walk);
  int container_height(const jinja::value_t& value, int levels_left, Walk& walk);
  std::size_t text_size(const jinja::value& value, std::size_t& visits);
  void forget_destroyed();
  std::optional<int> input_height(const jinja::value& value) const;
  std::optional<int> item_height(const jinja::value& value) const;

  struct Grown {
    std::weak_ptr<jinja::value_t> container;
    int levels = 0;
  };

  RenderState* const previous_;
  const std::uintptr_t stack_start_;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
  std::size_t written_ = 0;
  std::unordered_map<const jinja::value_t*, int> input_heights_;
  mutable std::unordered_map<const jinja::value_t*, int> item_heights_;
  mutable std::vector<std::shared_ptr<const PreparedValue>> new_items_;  // whose containers are not in there yet
  std::unordered_map<const jinja::value_t*, std::shared_ptr<const PreparedValue>> items_;
  Recording* recording_ = nullptr;
  std::vector<std::shared_ptr<const PreparedValue>> prepared_;
  std::unordered_map<const jinja::value_t*, Grown> grown_;  // containers changed to hold others
  int grown_levels_ = 0;                                    // at least the sum over grown_
};

}  // namespace kvern::chat
