// Which route does what. Answers small things on the net thread, hands the rest to the prep pool.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/model_service.h"
#include "app/prep_pool.h"
#include "http/server.h"

namespace kvern::app {

class Router {
 public:
  Router(std::vector<std::string> api_keys, PrepPool& prep) : api_keys_(std::move(api_keys)), prep_(prep) {}

  // Thread: net.
  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange);

  // The model is loaded; null again before it goes away. Thread: any.
  void set_model(std::shared_ptr<ModelService> model);
  std::shared_ptr<ModelService> model() const;

 private:
  std::vector<std::string> api_keys_;
  PrepPool& prep_;
  mutable std::mutex mutex_;
  std::shared_ptr<ModelService> model_;
};

}  // namespace kvern::app
