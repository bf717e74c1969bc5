// SPDX-License-Identifier: GPL-2.0-only
// The force between two atoms, from distance to eV/Angstrom, for batches of pairs.
#ifndef HYDRASURR_NETWORK_H
#define HYDRASURR_NETWORK_H

#include "kernel.h"
#include "weight_file.h"

#include <algorithm>
#include <memory>

namespace hydrasurr {

constexpr int BATCH = Perceptron<float>::BLOCK;  // pairs evaluated together
static_assert(BATCH % Perceptron<double>::BLOCK == 0, "a batch must be whole blocks in both precisions");

class Network {
 public:
  const PairFunction function;

  explicit Network(const PairFunction &function) : function(function) {}
  virtual ~Network() = default;

  // Force at each of `count` <= BATCH distances, with the continuation below r_min.
  void forces(int count, const double *distance, double *force)
  {
    double input[BATCH];
    for (int n = 0; n < BATCH; n++) {
      const double r = std::max(distance[n < count ? n : 0], function.r_min);
      input[n] = (r - function.input_shift) * function.input_scale;
    }
    evaluate(count, input, force);
    for (int n = 0; n < count; n++) {
      const double depth = function.r_min - distance[n];
      force[n] = depth > 0 ? function.force_at_min + function.slope * depth
                           : function.output_scale * function.end(distance[n]) * force[n];
    }
  }

 private:
  virtual void evaluate(int count, const double *input, double *output) = 0;
};

template <typename Real> class NetworkIn : public Network {
 public:
  explicit NetworkIn(const PairFunction &function) : Network(function), perceptron(function.layers) {}

 private:
  Perceptron<Real> perceptron;

  void evaluate(int count, const double *input, double *output) override
  {
    for (int n = 0; n < count; n += perceptron.BLOCK) perceptron.evaluate(input + n, output + n);
  }
};

// The network of a pair function in single or double precision.
inline std::unique_ptr<Network> make_network(const PairFunction &function, bool double_precision)
{
  if (double_precision) return std::unique_ptr<Network>(new NetworkIn<double>(function));
  return std::unique_ptr<Network>(new NetworkIn<float>(function));
}

}  // namespace hydrasurr

#endif
