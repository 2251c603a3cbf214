#include "cli/cache_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"

namespace kvern::cli {
namespace {

// Looking at a directory must not evict from it.
constexpr std::uint64_t kNoBudget = std::uint64_t{1} << 62;
constexpr std::size_t kShownDigits = 12;
constexpr std::size_t kShownMatches = 4;

std::string short_fingerprint(const StoredModel& model) { return to_hex(model.fingerprint).substr(0, kShownDigits); }

bool is_chosen(const StoredModel& model, const std::string& chosen) {
  return chosen.empty() || to_hex(model.fingerprint).starts_with(chosen) || model_name(model) == chosen;
}

std::string record_name(const StoredRecord& record) {
  return fmt::format("{}:{}", to_string(record.info.id.kind), to_hex(record.info.id.key).substr(0, kShownDigits));
}

bool is_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Wanted {
  std::string_view kind;  // empty: any
  std::string_view digits;
};

Result<Wanted> parse_prefix(std::string_view prefix) {
  const std::size_t colon = prefix.find(':');
  const Wanted wanted =
      colon == std::string_view::npos ? Wanted{{}, prefix} : Wanted{prefix.substr(0, colon), prefix.substr(colon + 1)};
  if (is_hex(wanted.digits)) return wanted;
  return fail(Code::invalid, fmt::format("'{}' is no record's id: expected the first of its hex digits, as "
                                         "kvern cache ls --records shows them",
                                         shortened(prefix)));
}

Result<FoundRecord> choose(std::vector<FoundRecord> found, std::string_view prefix) {
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) return fail(Code::not_found, fmt::format("no record's id begins with {}", shortened(prefix)));
  std::string names;
  for (std::size_t i = 0; i < std::min(found.size(), kShownMatches); ++i)
    names += (i > 0 ? ", " : "") + record_name(found[i].record);
  const std::string more =
      found.size() > kShownMatches ? fmt::format(" and {} more", found.size() - kShownMatches) : "";
  return fail(Code::invalid,
              fmt::format("{} fits {} records: {}{}; write more of it, with the kind in front if need be",
                          shortened(prefix), found.size(), names, more));
}

}  // namespace

std::string model_name(const StoredModel& model) {
  const auto description = parse_json(model.description);
  if (description && description->is_object()) {
    const auto name = description->find("name");
    if (name != description->end() && name->is_string() && !name->get_ref<const std::string&>().empty())
      return name->get<std::string>();
  }
  return short_fingerprint(model);
}

Result<std::vector<StoredModel>> CacheDirectory::models() const {
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored)) return std::vector<StoredModel>();
  TRY(std::vector<StoredModel> all, cache::list_models(file_system(), path_));
  const std::size_t count = all.size();
  std::erase_if(all, [&](const StoredModel& model) { return !is_chosen(model, chosen_); });
  if (all.empty() && count > 0 && !chosen_.empty())
    return fail(Code::not_found, fmt::format("'{}' is no model with records in {}", shortened(chosen_), path_.string()),
                "--fingerprint");
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.used_s > b.used_s; });
  return all;
}

Result<StoredModel> CacheDirectory::model() const {
  TRY(std::vector<StoredModel> all, models());
  if (all.size() == 1) return std::move(all.front());
  if (all.empty()) return fail(Code::not_found, fmt::format("nothing is kept in {} yet", path_.string()));
  std::string names;
  for (const StoredModel& one : all)
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", short_fingerprint(one), model_name(one));
  return fail(Code::invalid, fmt::format("several models have records here: {}; choose one", names), "--fingerprint");
}

Result<std::unique_ptr<DiskStore>> CacheDirectory::open(const StoredModel& model, bool read_only) const {
  cache::DiskOptions options;
  options.directory = path_;
  options.budget_bytes = kNoBudget;
  options.read_only = read_only;
  return DiskStore::open(file_system(), steady_clock(), std::move(options), {model.fingerprint, model.description});
}

Result<std::unique_ptr<DiskStore>> CacheDirectory::read(const StoredModel& model) const { return open(model, true); }

Result<std::unique_ptr<DiskStore>> CacheDirectory::own(const StoredModel& model) const {
  TRY(std::unique_ptr<DiskStore> store, open(model, false));
  if (!store->owner()) store.reset();
  return store;
}

Result<FoundRecord> CacheDirectory::find(std::string_view prefix) const {
  TRY(const Wanted wanted, parse_prefix(prefix));
  TRY(const std::vector<StoredModel> all, models());
  std::vector<FoundRecord> found;
  for (const StoredModel& model : all) {
    TRY(const std::unique_ptr<DiskStore> store, read(model));
    for (StoredRecord& record : store->list()) {
      if (!wanted.kind.empty() && wanted.kind != to_string(record.info.id.kind)) continue;
      if (to_hex(record.info.id.key).starts_with(wanted.digits)) found.push_back({model, std::move(record)});
    }
  }
  return choose(std::move(found), prefix);
}

Result<std::string> CacheDirectory::owner_address() const { return DiskStore::owner_note(file_system(), path_); }

}  // namespace kvern::cli
