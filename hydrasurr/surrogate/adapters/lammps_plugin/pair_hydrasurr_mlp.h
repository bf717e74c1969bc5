// SPDX-License-Identifier: GPL-2.0-only
// pair_style hydrasurr/mlp [precision single|double]
// pair_coeff * * FILE ELEMENT ...        (one element, or NULL, for each atom type)
#ifndef LMP_PAIR_HYDRASURR_MLP_H
#define LMP_PAIR_HYDRASURR_MLP_H

#include "pair.h"

#include "network.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairHydrasurrMLP : public Pair {
 public:
  explicit PairHydrasurrMLP(class LAMMPS *);
  ~PairHydrasurrMLP() override;

  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;
  double single(int, int, int, int, double, double, double, double &) override;
  void finish() override;
  double memory_usage() override;

 private:
  struct Batch;

  bool double_precision;
  double unit;    // 1 eV in LAMMPS' energy unit
  bigint below_seen;    // pairs nearer than r_min, twice each: without newton both sides of a border see them
  std::vector<std::vector<int>> network_of;    // [type][type], -1: none
  std::vector<std::unique_ptr<hydrasurr::Network>> networks;
  std::vector<Batch> batches;    // one for each network

  void allocate();
  std::string read_on_first_rank(const std::string &path);
  int find_network(const std::string &, const std::string &, const std::string &path) const;
  void flush(int network);
};

}    // namespace LAMMPS_NS

#endif
