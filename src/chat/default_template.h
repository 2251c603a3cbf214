// The template of a model that brings none: ChatML, which most small models understand.
#pragma once

#include <string_view>

namespace kvern::chat {

inline constexpr std::string_view kChatMl =
    "{%- for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

}  // namespace kvern::chat
