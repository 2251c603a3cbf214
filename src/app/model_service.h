// Everything that exists once per loaded model, and what the routes may ask of it.
//
// Thread: create() and run() the engine thread; the const parts any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/models.h"
#include "app/activity_feed.h"
#include "app/call_checker.h"
#include "app/ids.h"
#include "app/metrics.h"
#include "app/options.h"
#include "app/response_store.h"
#include "app/serve.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/text_memory.h"
#include "cache/disk/disk_store.h"
#include "cache/prefix_cache.h"
#include "chat/dialect/constraint_writer.h"
#include "chat/renderer.h"
#include "chat/turns/turn_index.h"
#include "constrain/schema.h"
#include "engine/engine.h"
#include "http/server.h"
#include "schedule/scheduler.h"

namespace kvern::app {

class ModelService {
 public:
  ~ModelService();

  // Loads the model: seconds, unless stop is requested. Errors name the flag. address: this server's. The watchers'
  // feed is told of what happens here.
  static Result<std::unique_ptr<ModelService>> create(const ServeOptions& options, const ServeHooks& hooks,
                                                      const std::string& address, ActivityFeed& watchers,
                                                      const std::stop_token& stop);

  // Serves requests until stop; then ends those still running and writes what is not on disk yet.
  void run(const std::stop_token& stop);
  // Makes a running decode end soon.
  void abort() { engine_->abort(); }

  // Code::not_found, naming what is served, unless it is this model's name. Only for questions about models:
  // requests may use any name, as the side requests of agents do, and get the one model there is.
  Status check_model(std::string_view requested) const;
  // Code::too_long when so much text cannot fit the context even in the longest tokens there are:
  // known before tens of megabytes are rendered and tokenised.
  Status check_length(std::size_t bytes) const;
  const std::string& name() const { return names_.front(); }

  const Vocab& vocab() const { return engine_->vocab(); }
  const chat::Renderer& renderer() const { return *renderer_; }
  constrain::Compiler& compiler() const { return *compiler_; }
  constrain::SchemaFitter& fitter() const { return *fitter_; }
  chat::ConstraintWriter& constraints() const { return *constraints_; }
  CallChecker& call_checker() { return *call_checker_; }
  Generator& generator() const { return *scheduler_; }
  schedule::SchedulerStats stats() const { return scheduler_->stats(); }
  const engine::Info& info() const { return engine_->info(); }
  api::ModelCard card() const;
  const RequestDefaults& defaults() const { return options_.defaults; }
  const ServeOptions& options() const { return options_; }
  const std::string& template_source() const { return template_source_; }  // empty: the model has none
  std::uint64_t cache_ram_bytes() const { return cache_ram_bytes_; }

  chat::TurnIndex& turns() { return *turns_; }
  ResponseStore& responses() { return responses_; }
  TextMemory& request_memory() { return request_memory_; }
  schedule::ReuseLog& reuse_log() { return *reuse_log_; }
  Metrics& metrics() { return metrics_; }
  ActivityFeed& watchers() { return *watchers_; }   // thread: net
  cache::DiskStore* disk() { return disk_.get(); }  // null: no disk tier
  // Requests with different salts share nothing: "" unless several API keys are in use.
  std::string salt_of(const http::Request& request) const;

  // run() is over or ending: long work for a client shall end, too. Thread: any.
  bool stopping() const { return stopping_; }

  // Every salt in use.
  std::vector<std::string> salts() const;
  // The store got records by another way than writing: the tree shall know them.
  void stored_from_outside();

  // Ask the engine thread, between two steps. Thread: any but the engine's.
  cache::CacheReport cache_report() const;
  std::vector<cache::HeldRecord> cache_records() const;
  std::vector<schedule::RequestReport> requests() const;
  Activity activity() const;

 private:
  ModelService() = default;
  void tell_watchers(schedule::SchedulerOptions& hooks);
  Activity read_activity() const;
  void make_cache(const ServeOptions& options, bool disk, const std::string& address);
  void on_engine(const std::function<void()>& job) const;

  ServeOptions options_;
  std::string template_source_;
  std::vector<std::string> names_;  // the first is shown; all are accepted
  std::int64_t created_s_ = 0;
  std::uint64_t cache_ram_bytes_ = 0;
  std::size_t longest_piece_bytes_ = 1;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<schedule::DraftModel> draft_model_;  // null without --draft
  std::unique_ptr<constrain::Compiler> compiler_;
  std::unique_ptr<constrain::SchemaFitter> fitter_;
  std::unique_ptr<chat::Renderer> renderer_;
  std::unique_ptr<chat::ConstraintWriter> constraints_;
  std::vector<std::string> api_keys_;
  Metrics metrics_;
  ActivityFeed* watchers_ = nullptr;
  const SessionWords session_words_{random_id()};  // of this run alone
  std::uint64_t ended_ = 0;                        // thread: engine
  ResponseStore responses_;
  TextMemory request_memory_{limits::kRequestMemoryBytes};
  std::unique_ptr<CallChecker> call_checker_;
  std::unique_ptr<schedule::ReuseLog> reuse_log_;
  std::unique_ptr<cache::DiskStore> disk_;
  std::unique_ptr<chat::TurnIndex> turns_;
  std::unique_ptr<cache::PrefixCache> cache_;
  std::unique_ptr<schedule::Scheduler> scheduler_;
  std::atomic<bool> stopping_ = false;
  std::atomic<schedule::Scheduler*> to_wake_ = nullptr;  // by the disk's thread
};

}  // namespace kvern::app
