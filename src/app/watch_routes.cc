#include "app/watch_routes.h"

#include "api/admin.h"
#include "app/answer.h"

namespace kvern::app {

void serve_events(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) {
  const auto follow = [&]() -> Status {
    TRY_OK(api::check_watch_query(request.query, kActivityVersion));
    return model.watchers().follow(*exchange);
  };
  if (const Status followed = follow(); !followed) answer_error(*exchange, followed.error());
}

void serve_requests(ModelService& model, const http::Request& request,
                    const std::shared_ptr<http::Exchange>& exchange) {
  const auto body = [&]() -> Result<std::string> {
    TRY_OK(api::check_watch_query(request.query, kActivityVersion));
    if (model.stopping()) return fail(Code::busy, "the server is shutting down");
    return snapshot_json(model.activity(), limits::kWatchTextBytes);
  };
  answer(*exchange, body());
}

}  // namespace kvern::app
