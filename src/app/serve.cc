#include "app/serve.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>

#include "api/wire_error.h"
#include "app/activity_feed.h"
#include "app/model_service.h"
#include "app/prep_pool.h"
#include "app/router.h"
#include "app/warm.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/server.h"

namespace kvern::app {
namespace {

ServeHooks::Ready describe(ModelService& model, const ServeOptions& options, const http::Server& server,
                           std::int64_t load_us) {
  ServeHooks::Ready ready;
  ready.address = server.address();
  ready.model = model.name();
  ready.context = model.info().context;
  ready.cells = model.info().cells;
  ready.parallel = options.parallel;
  ready.cache_ram_bytes = model.cache_ram_bytes();
  if (cache::DiskStore* disk = model.disk()) ready.cache_disk_bytes = disk->stats().budget_bytes;
  ready.dialect = std::string(model.renderer().dialect().dialect->name);
  ready.template_knows_tools = model.renderer().dialect().knows_tools;
  ready.load_s = static_cast<double>(load_us) / 1e6;
  return ready;
}

}  // namespace

Status serve(const ServeOptions& options, const ServeHooks& hooks) {
  TRY_OK(check_warm_files(options.warm_files));
  PrepPool prep(std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 2, 4));
  Router router(options.api_keys, prep);

  http::Options http;
  http.host = options.host;
  http.port = options.port;
  http.unix_socket = options.unix_socket;
  http.error_body = [](int, const Error& error, std::string_view path) {
    const api::Wire wire = api::is_anthropic_path(path) ? api::Wire::anthropic : api::Wire::openai;
    return api::wire_error(wire, error).body;
  };
  TRY(const std::unique_ptr<http::Server> server,
      http::Server::listen(std::move(http), [&router](http::Request request, std::shared_ptr<http::Exchange> exchange) {
        router.handle(std::move(request), std::move(exchange));
      }));

  ActivityFeed watchers(server->loop(), steady_clock());
  Status outcome;
  // The engine thread: loads the model while the server already answers "loading", then schedules.
  std::jthread engine([&](const std::stop_token& stop) {
    const std::int64_t begin_us = steady_clock().now_us();
    auto created = ModelService::create(options, hooks, server->address(), watchers, stop);
    if (!created) {
      if (!stop.stop_requested()) outcome = tl::unexpected(std::move(created).error());
      server->drain(0);
      return;
    }
    const std::shared_ptr<ModelService> model = std::move(*created);
    router.set_model(model);
    if (hooks.ready) hooks.ready(describe(*model, options, *server, steady_clock().now_us() - begin_us));
    std::jthread warming;
    if (!options.warm_files.empty()) warming = std::jthread([&] { warm(*model, options.warm_files); });
    model->run(stop);
  });

  int signals = 0;
  server->on_signal([&](int) {
    if (++signals == 1) {
      log::info("draining", {{"timeout_s", limits::kDrainTimeout_ms / 1000}, {"hint", "signal again to stop at once"}});
      server->drain(limits::kDrainTimeout_ms);
    } else {
      server->drain(0);
    }
  });
  server->run();

  // Nobody is left to answer: end a load or a decode in the middle, and let another signal kill.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  engine.request_stop();
  if (const auto model = router.model()) model->abort();
  engine.join();
  router.set_model(nullptr);
  return outcome;
}

}  // namespace kvern::app
