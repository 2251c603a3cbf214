#include "chat/template/macros.h"

namespace kvern::chat {

Macros::Macros(jinja::program& program) {
  for (jinja::statement_ptr& statement : program.body) {
    auto* macro = cast_stmt<jinja::macro_statement>(statement);
    if (macro == nullptr) continue;
    if (const auto* name = cast_stmt<jinja::identifier>(macro->name)) macros_[name->val].push_back(macro);
    bind_all(macro->args);
    bind_in(macro->body);
  }
  bind_in(program.body);
}

jinja::macro_statement* Macros::find(const std::string& name, std::size_t position) const {
  const auto found = macros_.find(name);
  if (found == macros_.end() || found->second.size() != 1 || bound_.contains(name)) return nullptr;
  return found->second.front()->pos < position ? found->second.front() : nullptr;
}

void Macros::bind(const jinja::statement_ptr& target) {
  if (const auto* name = cast_stmt<jinja::identifier>(target)) bound_.insert(name->val);
  if (const auto* keyword = cast_stmt<jinja::keyword_argument_expression>(target)) bind(keyword->key);
  if (const auto* tuple = cast_stmt<jinja::tuple_literal>(target)) bind_all(tuple->val);
}

void Macros::bind_all(const jinja::statements& targets) {
  for (const jinja::statement_ptr& target : targets) bind(target);
}

void Macros::bind_in(const jinja::statements& body) {
  for (const jinja::statement_ptr& one : body) {
    if (const auto* branch = cast_stmt<jinja::if_statement>(one)) {
      bind_in(branch->body);
      bind_in(branch->alternate);
    } else if (const auto* loop = cast_stmt<jinja::for_statement>(one)) {
      bind(loop->loopvar);
      bind_in(loop->body);
      bind_in(loop->default_block);
    } else if (const auto* set = cast_stmt<jinja::set_statement>(one)) {
      bind(set->assignee);
      bind_in(set->body);
    } else if (const auto* macro = cast_stmt<jinja::macro_statement>(one)) {
      const auto* name = cast_stmt<jinja::identifier>(macro->name);
      const auto top = name == nullptr ? macros_.end() : macros_.find(name->val);
      const bool is_top = top != macros_.end() && top->second.front() == macro;
      if (is_top) continue;
      bind(macro->name);
      bind_all(macro->args);
      bind_in(macro->body);
    } else if (const auto* call = cast_stmt<jinja::call_statement>(one)) {
      bind_all(call->caller_args);
      bind_in(call->body);
    } else if (const auto* filter = cast_stmt<jinja::filter_statement>(one)) {
      bind_in(filter->body);
    }
  }
}

}  // namespace kvern::chat
