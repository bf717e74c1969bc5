// SPDX-License-Identifier: GPL-2.0-only
// The text file that carries trained networks from Python to LAMMPS.
#ifndef HYDRASURR_WEIGHT_FILE_H
#define HYDRASURR_WEIGHT_FILE_H

#include <string>
#include <vector>

namespace hydrasurr {

// out = weight [outputs][inputs] . in + bias [outputs]
struct Layer {
  int inputs, outputs;
  std::vector<double> weight, bias;
};

// What is known of the pairs of two elements; Angstrom and eV. Positive forces repel.
struct PairFunction {
  std::string first, second;  // elements
  double cutoff;
  double r_min;           // below, the force goes on as a straight line: force_at_min + slope (r_min - r)
  double force_at_min;
  double slope;
  double input_shift, input_scale;  // the network sees (r - input_shift) * input_scale
  double output_scale;              // force = output_scale * network * end(r)
  double switch_width;              // over which the force goes to zero before the cutoff; 0: it ends with a jump
  std::vector<Layer> layers;        // tanh after all but the last
  double spacing;                   // of the table below, which begins at r_min and ends at the cutoff
  std::vector<double> energy, force;

  // The factor of the force that ends it: t^3 (10 - 15 t + 6 t^2), t = (cutoff - r) / switch_width.
  double end(double r) const;

  // The integral of the force from r to the cutoff: cubic Hermite interpolation, exact in value and slope at nodes.
  double energy_at(double r) const;
};

// All pair functions of a file's text. Throws std::runtime_error that says what was expected.
std::vector<PairFunction> parse_weight_file(const std::string &text);

}  // namespace hydrasurr

#endif
