#include "chat/dialect/arguments/codec.h"

namespace kvern::chat {

const ArgumentCodec& codec_of(ArgumentStyle style) {
  switch (style) {
    case ArgumentStyle::json: return kJsonCodec;
    case ArgumentStyle::tagged: return kTaggedCodec;
    case ArgumentStyle::pythonic: return kPythonicCodec;
    case ArgumentStyle::object: return kObjectCodec;
    case ArgumentStyle::elements: return kElementsCodec;
  }
  return kJsonCodec;
}

}  // namespace kvern::chat
