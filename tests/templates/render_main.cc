// Renders chat templates for tests/templates/test_fidelity.py, with our engine and nothing around it.
//
// Each line of stdin is {"template": source, "variables": {...}, "constants": {...}}, each line of stdout
// {"text": ...} or {"error": ...}. `render_main --templates` prints the folder of the families' templates.
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

class Templates {
 public:
  Result<std::string> render(const Json& job) {
    TRY(const JinjaTemplate* jinja, parsed(job.at("template").get<std::string>()));
    TRY(const std::vector<RenderedPart> parts, jinja->render(job.at("variables"), job.at("constants")));
    std::string text;
    for (const RenderedPart& part : parts) text += part.text;
    return text;
  }

 private:
  Result<const JinjaTemplate*> parsed(const std::string& source) {
    const auto known = parsed_.find(source);
    if (known != parsed_.end()) return known->second.get();
    TRY(std::unique_ptr<JinjaTemplate> jinja, JinjaTemplate::parse(source));
    return parsed_.emplace(source, std::move(jinja)).first->second.get();
  }

  std::map<std::string, std::unique_ptr<JinjaTemplate>> parsed_;
};

int run() {
  Templates templates;
  std::string line;
  while (std::getline(std::cin, line)) {
    const Result<std::string> text = parse_json(line).and_then([&](const Json& job) { return templates.render(job); });
    std::cout << dump_json(text ? Json{{"text", *text}} : Json{{"error", text.error().message}}) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace kvern::chat

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--templates") {
    std::cout << KVERN_LLAMA_DIR << "/models/templates\n";
    return 0;
  }
  return kvern::chat::run();
}
