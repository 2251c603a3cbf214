#include "app/ids.h"

#include <random>

namespace kvern::app {

std::string random_id() {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 random(std::random_device{}());
  std::uniform_int_distribution<std::size_t> pick(0, sizeof kAlphabet - 2);
  std::string id(24, '\0');
  for (char& c : id) c = kAlphabet[pick(random)];
  return id;
}

}  // namespace kvern::app
