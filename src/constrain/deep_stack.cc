#include "constrain/deep_stack.h"

#include <pthread.h>

#include <cstddef>
#include <exception>

namespace kvern::constrain {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024 * 1024;

thread_local bool is_deep = false;  // this thread is one of those started here

struct Job {
  const std::function<Status()>& work;
  Status status;
};

void* run(void* argument) {
  auto& job = *static_cast<Job*>(argument);
  is_deep = true;
  try {
    job.status = job.work();
  } catch (const std::exception& e) {
    job.status = fail(Code::failed, e.what());
  }
  return nullptr;
}

}  // namespace

Status on_deep_stack(const std::function<Status()>& work) {
  Job job{work, {}};
  if (is_deep) {
    run(&job);
    return job.status;
  }
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return fail(Code::failed, "cannot prepare a thread");
  pthread_t thread;
  const bool started =
      pthread_attr_setstacksize(&attributes, kStackBytes) == 0 && pthread_create(&thread, &attributes, run, &job) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) return fail(Code::failed, "the system gives no thread for compiling a grammar");
  pthread_join(thread, nullptr);
  return job.status;
}

}  // namespace kvern::constrain
