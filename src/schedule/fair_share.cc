#include "schedule/fair_share.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace kvern::schedule {

FairShare::Account& FairShare::enter(std::string_view session, std::string_view salt) {
  // "SESSION/AGENT" is SESSION's; sessions of different keys are different clients.
  std::string name(salt);
  name += '\n';
  name += session.substr(0, session.find('/'));
  if (accounts_.size() >= limits::kClients && !accounts_.contains(name)) forget_one();
  const std::int64_t floor = least();
  Account& account = accounts_[name];
  if (account.requests++ == 0) account.tokens = std::max(account.tokens, floor);
  account.last_used = ++uses_;
  found_ = false;
  return account;
}

void FairShare::leave(Account& account) {
  CHECK(account.requests > 0);
  least();  // what it had counts for those who come when nobody is here
  --account.requests;
  found_ = false;
}

void FairShare::computed(Account& account, std::int32_t tokens) {
  account.tokens += tokens;
  found_ = false;
}

std::int32_t FairShare::debt(const Account& account) const {
  return static_cast<std::int32_t>(std::min<std::int64_t>((account.tokens - least()) / kTokensOfDebt, 1 << 20));
}

// While nobody has requests it stays where it was.
std::int64_t FairShare::least() const {
  if (std::exchange(found_, true)) return least_;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const auto& [name, account] : accounts_) {
    if (account.requests > 0) least = std::min(least, account.tokens);
  }
  if (least < std::numeric_limits<std::int64_t>::max()) least_ = least;
  return least_;
}

// The client not seen for longest. All have requests only when there are more of those than are admitted.
void FairShare::forget_one() {
  auto oldest = accounts_.end();
  for (auto it = accounts_.begin(); it != accounts_.end(); ++it) {
    if (it->second.requests > 0) continue;
    if (oldest == accounts_.end() || it->second.last_used < oldest->second.last_used) oldest = it;
  }
  if (oldest != accounts_.end()) accounts_.erase(oldest);
}

}  // namespace kvern::schedule
