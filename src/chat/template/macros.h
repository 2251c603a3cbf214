// A template's macros, where a name can stand for nothing else.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

class Macros {
 public:
  // program must outlive it.
  explicit Macros(jinja::program& program);

  // The macro that a name stands for wherever it is called behind `position`: defined once, at the top of the
  // template, and the name is never bound to anything else. Null: it may be another, or none.
  jinja::macro_statement* find(const std::string& name, std::size_t position) const;

 private:
  void bind(const jinja::statement_ptr& target);
  void bind_all(const jinja::statements& targets);
  void bind_in(const jinja::statements& body);

  std::map<std::string, std::vector<jinja::macro_statement*>> macros_;  // at the top
  std::set<std::string> bound_;                                         // by anything else
};

}  // namespace kvern::chat
