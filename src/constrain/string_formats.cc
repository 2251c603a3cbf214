#include "constrain/string_formats.h"

#include <array>

namespace kvern::constrain {
namespace {

#define DATE                                                                                           \
  "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)" \
  "|02-(?:0[1-9]|1[0-9]|2[0-8]))"                                                                      \
  "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
#define TIME                                                                                                \
  "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])" \
  "|23:59:60(?:\\.[0-9]+)?[Zz])"
#define LABEL "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 "(?:" OCTET "\\.){3}" OCTET
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define ATEXT "[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]"
#define PCHAR "(?:[0-9A-Za-z._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define IPV6                                                                                                       \
  "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 "|(?:(?:" H16          \
  ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16    \
  ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 \
  "|(?:(?:" H16 ":){0,6}" H16 ")?::)"
#define DURATION_TIME "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"

struct Format {
  std::string_view name;
  FormatRegexes regexes;
};

constexpr std::array<Format, 12> kFormats = {{
    {"date", {DATE, ""}},
    {"time", {TIME, ""}},
    {"date-time", {DATE "[Tt]" TIME, ""}},
    {"duration",
     {"P(?:(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:" DURATION_TIME ")?|" DURATION_TIME
      "|[0-9]+W)",
      ""}},
    {"email", {ATEXT "+(?:\\." ATEXT "+)*@" LABEL "(?:\\." LABEL ")*", "[^@]{1,64}@[^@]+"}},
    {"hostname", {LABEL "(?:\\." LABEL ")*", ""}},
    {"ipv4", {IPV4, ""}},
    {"ipv6", {IPV6, ""}},
    {"uuid", {"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", ""}},
    {"uri",
     {"[A-Za-z][0-9A-Za-z+.-]*:(?://(?:(?:[0-9A-Za-z._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\\[" IPV6
      "\\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?(?:/" PCHAR "*)*|/(?:" PCHAR "+(?:/" PCHAR
      "*)*)?|" PCHAR "+(?:/" PCHAR "*)*)?(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?",
      ""}},
    {"json-pointer", {"(?:/(?:[^/~]|~[01])*)*", ""}},
    {"relative-json-pointer", {"(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^/~]|~[01])*)*)", ""}},
}};

#undef DATE
#undef TIME
#undef LABEL
#undef OCTET
#undef IPV4
#undef H16
#undef LS32
#undef ATEXT
#undef PCHAR
#undef IPV6
#undef DURATION_TIME

}  // namespace

FormatRegexes format_regexes(std::string_view format) {
  for (const Format& known : kFormats)
    if (known.name == format) return known.regexes;
  return {};
}

}  // namespace kvern::constrain
