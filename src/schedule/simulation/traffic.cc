#include "schedule/simulation/traffic.h"

#include <fmt/format.h>

#include <array>
#include <random>

namespace kvern::schedule::simulation {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  char letter() { return static_cast<char>('a' + below(26)); }

 private:
  std::mt19937_64 random_;
};

std::string turn(const std::string& user) {
  return "<|im_start|>user\n" + user + "<|im_end|>\n<|im_start|>assistant\n";
}

Arrival draw_arrival(Draw& draw, std::size_t index, std::int64_t at_us) {
  Arrival a;
  a.at_us = at_us;
  a.number = index;
  a.own_head = draw.one_in(2);
  a.call = draw.one_in(6);
  if (a.own_head) {
    a.padding = 20 + draw.below(1000);
  } else {
    a.agent = draw.below(3);
    a.turns = draw.below(4);
  }
  a.question = 1 + draw.below(40);
  a.letter = draw.letter();
  const std::uint64_t session = draw.below(4);
  if (session > 0) a.session = fmt::format("session{}", session);
  if (draw.one_in(3)) {
    a.session += "/agent";
    a.priority = Priority::sub_agent;
  } else if (draw.one_in(5)) {
    a.priority = Priority::background;
  }
  if (draw.one_in(8)) a.cancel_at_us = at_us + static_cast<std::int64_t>(draw.below(2'000'000));
  if (draw.one_in(6)) {
    a.capacity = 1 + draw.below(8);
    a.reads_every = static_cast<int>(2 + draw.below(30));
  }
  return a;
}

}  // namespace

// Three agents' heads are shared by parents, sub-agents and siblings; other prompts begin with a number of
// their own.
std::string prompt_of(const Arrival& arrival) {
  std::string text;
  if (arrival.own_head) {
    text = fmt::format("{:04} ", arrival.number) + std::string(arrival.padding, arrival.letter);
  } else {
    const auto letter = static_cast<char>('a' + arrival.agent);
    text = "<|im_start|>system\n" + std::string(300 + 200 * arrival.agent, letter) + "<|im_end|>\n";
    // A parent goes on: earlier turns of one conversation.
    for (std::size_t i = 0; i < arrival.turns; ++i) text += turn("count to x") + "one two three up to x<|im_end|>\n";
  }
  return text + turn("count to " + std::string(arrival.question, arrival.letter));
}

Traffic draw_traffic(std::uint64_t seed, std::size_t arrivals) {
  Draw draw(seed);
  Traffic traffic;
  traffic.seed = seed;
  traffic.memory_bytes = draw.one_in(3) ? 2'000 : 200'000;
  traffic.parallel = static_cast<std::int32_t>(1 + draw.below(6));
  // Some seeds are a crowd, in others there are pauses.
  const std::uint64_t pause_us = draw.one_in(2) ? 100'000 : 1'500'000;
  std::int64_t at_us = 0;
  for (std::size_t i = 0; i < arrivals; ++i) {
    if (!draw.one_in(3)) at_us += static_cast<std::int64_t>(draw.below(pause_us));
    traffic.arrivals.push_back(draw_arrival(draw, i, at_us));
  }
  traffic.one_by_one = draw.one_in(2);
  traffic.window = draw.one_in(3) ? static_cast<std::int32_t>(20 + draw.below(200)) : 0;
  return traffic;
}

std::string describe(const Traffic& traffic) {
  std::string text = fmt::format("seed {}: {} cells, {} bytes of memory, {} at once{}{}\n", traffic.seed, traffic.cells,
                                 traffic.memory_bytes, traffic.parallel, traffic.one_by_one ? ", row by row" : "",
                                 traffic.window > 0 ? fmt::format(", a window of {}", traffic.window) : "");
  for (const Arrival& a : traffic.arrivals) {
    const std::string head = a.own_head ? fmt::format("{} letters of its own", a.padding)
                                        : fmt::format("agent {}'s head, {} turns", a.agent, a.turns);
    text += fmt::format(
        "  at {} us: number {}, {}, then {} letters '{}'{}{} {}{}{}\n", a.at_us, a.number, head, a.question, a.letter,
        a.call ? ", a call" : "", a.session.empty() ? "," : fmt::format(", session '{}',", a.session),
        std::array{"interactive", "sub-agent", "background"}[static_cast<std::size_t>(a.priority)],
        a.cancel_at_us >= 0 ? fmt::format(", cancelled at {} us", a.cancel_at_us) : "",
        a.reads_every > 1 ? fmt::format(", reads {} at most every {} steps", a.capacity, a.reads_every) : "");
  }
  return text;
}

}  // namespace kvern::schedule::simulation
