#include "app/model_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include "app/disk_tier.h"
#include "app/engines.h"
#include "app/ids.h"
#include "app/weights_hash.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/system_memory.h"
#include "base/utf8.h"
#include "cache/self_test.h"
#include "engine/fake/fake_engine.h"
#include "http/auth.h"

namespace kvern::app {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr int kDiskCloseTimeout_ms = 7'000;

Result<std::string> read_template(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Code::invalid, fmt::format("{} cannot be read: {}", path, error.message()), "--chat-template");
  if (size > limits::kTemplateBytes)
    return fail(Code::invalid, fmt::format("{} is larger than {} bytes", path, limits::kTemplateBytes),
                "--chat-template");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return fail(Code::invalid, fmt::format("{} cannot be read", path), "--chat-template");
  return std::move(text).str();
}

// "--name a,b": a is shown, both are accepted. Without it: the file's name without ".gguf".
std::vector<std::string> model_names(const ServeOptions& options) {
  std::vector<std::string> names;
  std::istringstream list(options.name);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  if (names.empty())
    names.push_back(is_fake(options.model) ? "fake" : std::filesystem::path(options.model).stem().string());
  return names;
}

std::string salt_of_key(std::string_view api_key) { return to_hex(sha256(api_key)); }

std::uint64_t memory_budget(const ServeOptions& options) {
  if (options.no_cache) return 0;
  if (options.cache_ram_bytes) return *options.cache_ram_bytes;
  const auto available = available_memory();
  return available ? std::min(8 * kGiB, *available / 4) : kGiB;
}

}  // namespace

Result<std::unique_ptr<ModelService>> ModelService::create(const ServeOptions& options, const ServeHooks& hooks,
                                                           const std::string& address, ActivityFeed& watchers,
                                                           const std::stop_token& stop) {
  std::unique_ptr<ModelService> service(new ModelService);
  service->watchers_ = &watchers;
  service->options_ = options;
  service->names_ = model_names(options);
  service->created_s_ = unix_time_s();
  // Saved rows say nothing about the weights they were computed with; the fingerprint does.
  std::string weights;
  bool disk = wants_disk(options);
  if (disk && !is_fake(options.model)) {
    auto hash = weights_hash(options.model, options.cache_dir, hooks.load_progress);
    if (!hash) log::warn("no disk cache", {{"why", hash.error().message}});
    disk = hash.has_value();
    weights = std::move(hash).value_or("");
  }
  TRY(service->engine_, make_engine(options, weights, hooks.load_progress, stop));
  const engine::Info& info = service->engine_->info();
  if (!options.draft_model.empty()) {
    TRY(service->draft_model_, make_draft_model(options, *service->engine_, hooks.load_progress, stop));
  }

  chat::RendererOptions renderer{info.chat_template, options.dialect, options.keep_transport_headers};
  if (!options.chat_template_file.empty()) {
    TRY(renderer.template_source, read_template(options.chat_template_file));
  }
  service->template_source_ = renderer.template_source;
  if (const auto* fake = dynamic_cast<const engine::FakeEngine*>(service->engine_.get());
      fake && renderer.dialect.empty()) {
    renderer.dialect = fake->dialect();
  }
  TRY(service->renderer_, chat::Renderer::create(service->vocab(), std::move(renderer)));
  for (TokenId token = 0; token < service->vocab().size(); ++token)
    service->longest_piece_bytes_ = std::max(service->longest_piece_bytes_, service->vocab().piece(token).size());
  TRY(service->compiler_, constrain::Compiler::create(service->vocab()));
  service->fitter_ = constrain::SchemaFitter::create(*service->compiler_);
  service->constraints_ = std::make_unique<chat::ConstraintWriter>(service->renderer_->dialect(), service->vocab(),
                                                                   *service->compiler_, *service->fitter_);
  service->call_checker_ = std::make_unique<CallChecker>(service->metrics_);

  service->make_cache(options, disk, address);
  schedule::SchedulerOptions scheduler;
  scheduler.parallel = options.parallel;
  scheduler.latency_target = options.latency_target;
  scheduler.draft_max = options.draft_max;
  scheduler.draft_model = service->draft_model_.get();
  scheduler.reuse_log = service->reuse_log_.get();
  service->tell_watchers(scheduler);
  service->scheduler_ = std::make_unique<schedule::Scheduler>(*service->engine_, *service->cache_, *service->compiler_,
                                                              steady_clock(), scheduler);
  service->to_wake_ = service->scheduler_.get();
  return service;
}

// The disk's thread ends before what it wakes.
ModelService::~ModelService() { disk_.reset(); }

// The cache in all its tiers, after a look at whether saved state comes back as it was.
void ModelService::make_cache(const ServeOptions& options, bool disk, const std::string& address) {
  cache_ram_bytes_ = memory_budget(options);
  api_keys_ = options.api_keys;
  cache::Options cache_options;
  cache_options.memory_bytes = cache_ram_bytes_;
  if (options.no_cache) {
    cache_options.mode = cache::Mode::off;
    cache_options.mode_reason = "--no-cache";
  } else {
    const cache::SelfTest test = cache::self_test(*engine_);
    cache_options.mode_reason = test.reason;
    if (test.level == cache::SelfTest::Level::whole_sequences) cache_options.mode = cache::Mode::whole_sequences;
    if (test.level == cache::SelfTest::Level::off) cache_options.mode = cache::Mode::off;
    if (test.level != cache::SelfTest::Level::full)
      log::warn("the cache steps down",
                {{"why", test.reason}, {"to", test.level == cache::SelfTest::Level::off ? "off" : "whole sequences"}});
  }
  if (disk && cache_options.mode == cache::Mode::full) disk_ = open_disk(options, engine_->info(), name(), address);
  cache_ = std::make_unique<cache::PrefixCache>(*engine_, cache_options, steady_clock(), disk_.get());
  turns_ = std::make_unique<chat::TurnIndex>(chat::TurnIndex::Limits{});
  if (disk_) {
    disk_->on_event = [this] {
      if (schedule::Scheduler* scheduler = to_wake_) scheduler->wake();
      watchers_->changed();
    };
    keep_turns(*turns_, *disk_, cache_->root("").key);
    recover(*disk_, *cache_, *turns_);
  }
  const chat::Dialect& dialect = *renderer_->dialect().dialect;
  reuse_log_ = std::make_unique<schedule::ReuseLog>(
      vocab(), schedule::ReuseLog::Markers{std::string(dialect.reasoning_begin), std::string(dialect.reasoning_end),
                                           std::string(dialect.trigger)});
}

void ModelService::run(const std::stop_token& stop) {
  scheduler_->run(stop);
  stopping_ = true;
  if (disk_) disk_->close(kDiskCloseTimeout_ms);
}

std::string ModelService::salt_of(const http::Request& request) const {
  if (api_keys_.size() < 2) return {};
  return salt_of_key(http::accepted_key(request, api_keys_));
}

std::vector<std::string> ModelService::salts() const {
  if (api_keys_.size() < 2) return {""};
  std::vector<std::string> salts;
  for (const std::string& key : api_keys_) salts.push_back(salt_of_key(key));
  return salts;
}

void ModelService::stored_from_outside() {
  if (!disk_) return;
  const auto records = std::make_shared<const std::vector<cache::StoredRecord>>(disk_->list());
  on_engine([&] { add_stored(*records, *cache_); });
}

void ModelService::on_engine(const std::function<void()>& job) const {
  const auto done = std::make_shared<std::promise<void>>();
  std::future<void> waiting = done->get_future();
  const bool posted = scheduler_->post([job, done] {
    job();
    done->set_value();
  });
  if (posted) waiting.wait();
}

cache::CacheReport ModelService::cache_report() const {
  cache::CacheReport report;
  on_engine([&] { report = cache_->report(); });
  return report;
}

std::vector<cache::HeldRecord> ModelService::cache_records() const {
  std::vector<cache::HeldRecord> records;
  on_engine([&] { records = cache_->records(); });
  return records;
}

std::vector<schedule::RequestReport> ModelService::requests() const {
  std::vector<schedule::RequestReport> requests;
  on_engine([&] { requests = scheduler_->requests(); });
  return requests;
}

Activity ModelService::activity() const {
  Activity now;
  on_engine([&] { now = read_activity(); });
  return now;
}

void ModelService::tell_watchers(schedule::SchedulerOptions& hooks) {
  hooks.on_change = [this] { watchers_->changed(); };
  hooks.on_end = [this](const schedule::RequestReport& report, const Usage& usage, FinishReason finish) {
    metrics_.request(usage, finish);
    ++ended_;
    EndedRequest ended{report, usage, finish};
    ended.report.session = session_words_.of(report.session);
    watchers_->ended(std::move(ended));
  };
  watchers_->read_from({.post = [this](std::function<void()> job) { return scheduler_->post(std::move(job)); },
                        .read = [this] { return read_activity(); }});
}

Activity ModelService::read_activity() const {
  Activity now;
  now.time_ms = unix_time_ms();
  now.model = name();
  now.context = info().context;
  now.parallel = options_.parallel;
  now.requests = scheduler_->requests();
  for (schedule::RequestReport& request : now.requests) {
    request.session = session_words_.of(request.session);
    ++(request.running ? now.totals.running : now.totals.waiting);
  }
  now.totals.ended = ended_;
  now.totals.cells = info().cells;
  now.totals.cells_used = cache_->used_cells();
  now.totals.ram_bytes = cache_->tree().bytes();
  now.totals.ram_budget_bytes = cache_->tree().budget_bytes();
  if (disk_) {
    const cache::DiskStats disk = disk_->stats();
    now.totals.disk_bytes = disk.bytes;
    now.totals.disk_budget_bytes = disk.budget_bytes;
  }
  return now;
}

Status ModelService::check_model(std::string_view requested) const {
  if (requested.empty() || requested == "default") return {};
  if (std::find(names_.begin(), names_.end(), requested) != names_.end()) return {};
  return fail(
      Code::not_found,
      fmt::format("model '{}' is not served here; this server has '{}'. Use that name, or give the model another "
                  "with --name.",
                  shortened(requested), name()),
      "model");
}

Status ModelService::check_length(std::size_t bytes) const {
  const std::size_t tokens = bytes / longest_piece_bytes_;
  if (tokens < static_cast<std::size_t>(info().context)) return {};
  return fail(Code::too_long,
              fmt::format("prompt is too long: at least {} tokens > {} maximum", tokens, info().context - 1));
}

api::ModelCard ModelService::card() const {
  const engine::Info& info = engine_->info();
  api::ModelCard card;
  card.id = name();
  card.created_s = created_s_;
  card.context = info.context;
  card.context_trained = info.context_trained;
  card.vocabulary = vocab().size();
  card.parameters = info.parameters;
  card.bytes = info.model_bytes;
  return card;
}

}  // namespace kvern::app
