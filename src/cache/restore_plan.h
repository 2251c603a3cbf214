// What has to be loaded into a sequence before it can go on, piece by piece, in ascending order.
//
// Thread: engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/prefix_tree.h"

namespace kvern::cache {

struct Piece {
  Node* node = nullptr;  // whose bytes; its users count is held up
  Part part = Part::rows;
  std::int32_t begin = 0;  // tokens [begin, end) come out of it; a state: both its position
  std::int32_t end = 0;
  SharedBytes bytes;   // read from disk for this plan
  bool asked = false;  // a read is under way
};

class RestorePlan {
 public:
  explicit RestorePlan(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {
    for (Piece& piece : pieces_) ++piece.node->users;
  }
  ~RestorePlan() {
    for (Piece& piece : pieces_) --piece.node->users;
  }
  RestorePlan(const RestorePlan&) = delete;
  RestorePlan& operator=(const RestorePlan&) = delete;

  std::vector<Piece>& pieces() { return pieces_; }
  Piece& next() { return pieces_[done_]; }
  bool finished() const { return done_ == pieces_.size(); }
  void advance() {
    pieces_[done_].bytes.reset();
    ++done_;
  }
  std::size_t done() const { return done_; }

  bool damaged = false;  // a piece came back from disk other than it was written

 private:
  std::vector<Piece> pieces_;
  std::size_t done_ = 0;
};

}  // namespace kvern::cache
