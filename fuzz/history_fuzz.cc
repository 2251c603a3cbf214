// Any history through every family's template and our own: no crash, and a text or a reason.
//
// The first byte picks the template. Every message after it is a byte for role and fields, then text
// up to a zero byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "chat/renderer.h"
#include "chat/test_byte_vocab.h"

namespace kvern::chat {
namespace {

std::vector<std::unique_ptr<Renderer>> make_renderers(const Vocab& vocab) {
  log::configure(log::Level::off, log::Format::text);
  std::vector<std::string> sources = {""};
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(KVERN_LLAMA_DIR "/models/templates", missing)) {
    if (entry.path().extension() != ".jinja") continue;
    std::ifstream file(entry.path());
    sources.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(sources.begin(), sources.end());
  std::vector<std::unique_ptr<Renderer>> renderers;
  for (std::string& source : sources) {
    auto renderer = Renderer::create(vocab, {std::move(source), "", false});
    CHECK(renderer.has_value());
    renderers.push_back(std::move(*renderer));
  }
  return renderers;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }

  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto first = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return first;
  }

  std::string text() {
    const std::size_t end = std::min(bytes_.find('\0'), bytes_.size());
    std::string text(bytes_.substr(0, end));
    bytes_.remove_prefix(std::min(end + 1, bytes_.size()));
    return text;
  }

 private:
  std::string_view bytes_;
};

Message message(Reader& reader) {
  const unsigned kind = reader.byte();
  Message message;
  message.role = static_cast<Role>(kind % 4);
  message.content = reader.text();
  if (message.role == Role::tool) message.tool_call_id = std::string(1, static_cast<char>('a' + kind / 4 % 4));
  if (message.role != Role::assistant) return message;
  if ((kind & 4U) != 0) message.reasoning = reader.text();
  for (unsigned call = 0; call < (kind >> 3) % 4; ++call)
    message.tool_calls.push_back({.id = std::string(1, static_cast<char>('a' + call)),
                                  .name = "read",
                                  .arguments = reader.text(),
                                  .written_id = {}});
  return message;
}

void run(std::string_view bytes) {
  static const ByteVocab vocab;
  static const std::vector<std::unique_ptr<Renderer>> renderers = make_renderers(vocab);
  Reader reader(bytes);
  const Renderer& renderer = *renderers[reader.byte() % renderers.size()];
  ChatRequest request;
  if (reader.byte() % 2 == 1) {
    Tool tool;
    tool.name = "read";
    tool.parameters = "{}";
    request.tools.push_back(tool);
  }
  constexpr std::size_t kMessagesMax = 16;
  while (!reader.empty() && request.messages.size() < kMessagesMax) request.messages.push_back(message(reader));
  const auto chat = renderer.render(request);
  CHECK(chat ? !chat->prompt.tokens.empty() || request.messages.empty() : !chat.error().message.empty());
}

}  // namespace
}  // namespace kvern::chat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvern::chat::run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
