// Counts what each client had computed, so that one that asks much does not push aside one that asks little.
//
// A client is a session, with the sub-agents it sends, or an API key where there is no session. Computed
// tokens count, cached ones do not: reuse is rewarded. Who comes, or comes back after a pause, starts beside
// whoever had least meanwhile: a pause saves nothing up.
//
// Thread: engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace kvern::schedule {

class FairShare {
 public:
  // One step of debt: clients that differ by less are equals, and the shorter prompt decides.
  static constexpr std::int64_t kTokensOfDebt = 8192;

  class Account {
   private:
    friend class FairShare;
    std::int64_t tokens = 0;
    std::int32_t requests = 0;  // that have not ended
    std::uint64_t last_used = 0;
  };

  // A request of that client is here; the account lives until as many leave() as enter() were called.
  Account& enter(std::string_view session, std::string_view salt);
  void leave(Account& account);

  void computed(Account& account, std::int32_t tokens);

  // How far the client is ahead of the one with requests that had least.
  std::int32_t debt(const Account& account) const;

  std::size_t clients() const { return accounts_.size(); }

 private:
  std::int64_t least() const;
  void forget_one();

  std::unordered_map<std::string, Account> accounts_;
  std::uint64_t uses_ = 0;
  mutable std::int64_t least_ = 0;  // of those with requests
  mutable bool found_ = true;       // least_ is right
};

}  // namespace kvern::schedule
