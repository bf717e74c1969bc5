// SPDX-License-Identifier: GPL-2.0-only
// A multilayer perceptron of one number, evaluated for blocks of numbers with everything in registers and L1 cache.
//
// Activations are stored [neuron][number], so that a SIMD register holds one neuron of several pairs. A layer is
// computed in tiles of ROWS neurons times COLUMNS registers: each weight is loaded once a tile and each activation
// once in ROWS multiplications, and tanh is applied while the tile is still in registers.
#ifndef HYDRASURR_KERNEL_H
#define HYDRASURR_KERNEL_H

#include "weight_file.h"

#include <vector>

namespace hydrasurr {

#if defined(__AVX512F__)
constexpr int REGISTER_BYTES = 64, COLUMNS = 4;  // 32 registers: 16 sums, 4 activations
#elif defined(__AVX__)
constexpr int REGISTER_BYTES = 32, COLUMNS = 2;  // 16 registers: 8 sums, 2 activations
#else
constexpr int REGISTER_BYTES = 16, COLUMNS = 2;
#endif
constexpr int ROWS = 4;

typedef float Floats __attribute__((vector_size(REGISTER_BYTES)));
typedef double Doubles __attribute__((vector_size(REGISTER_BYTES)));
typedef long long Integers __attribute__((vector_size(REGISTER_BYTES)));

template <typename Real> struct Simd;
template <> struct Simd<float> { typedef Floats Vector; };
template <> struct Simd<double> { typedef Doubles Vector; };

// x P(x^2) / Q(x^2), a minimax fit on [-7.9, 7.9] and constant outside: within 5e-7 of tanh in single precision.
inline Floats tanh(Floats x)
{
  x = x > 7.9f ? Floats{} + 7.9f : x;
  x = x < -7.9f ? Floats{} - 7.9f : x;
  const Floats z = x * x;
  const Floats p = 9.99999426e-01f + z * (1.29226883e-01f + z * (2.94851454e-03f + z * 1.14147077e-05f));
  const Floats q =
      1.0f + z * (4.62558089e-01f + z * (2.38035243e-02f + z * (2.38395813e-04f + z * 2.45724969e-07f)));
  return x * p / q;
}

// (1 - e) / (1 + e) with e = exp(-2 |x|) = 2^k exp(t), exp(t) by its series on |t| <= ln(2) / 2: within 4e-16 of tanh.
inline Doubles tanh(Doubles x)
{
  Doubles y = x < 0.0 ? x + x : -x - x;
  y = y < -45.0 ? Doubles{} - 45.0 : y;
  const Doubles shifted = y * 1.4426950408889634 + 6755399441055744.0;  // 1.5 * 2^52: rounds to an integer
  const Doubles k = shifted - 6755399441055744.0;
  const Doubles t = (y - k * 0.693147180369123816) - k * 1.90821492927058770e-10;
  Doubles e = Doubles{} + 1.0 / 6227020800.0;
  for (const double inverse_factorial :
       {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
        1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
    e = e * t + inverse_factorial;
  e *= (Doubles)(((Integers) shifted + 1023) << 52);
  const Doubles result = (1.0 - e) / (1.0 + e);
  return x < 0.0 ? -result : result;
}

// A perceptron in one precision; `Real` is float or double.
template <typename Real> class Perceptron {
 public:
  typedef typename Simd<Real>::Vector Vector;
  static constexpr int LANES = REGISTER_BYTES / sizeof(Real);
  static constexpr int BLOCK = COLUMNS * LANES;  // numbers evaluated together

  explicit Perceptron(const std::vector<Layer> &layers)
  {
    int width = 1;
    for (size_t n = 0; n + 1 < layers.size(); n++) {
      hidden.push_back(Tiled(layers[n], width));
      width = hidden.back().outputs;
    }
    const Layer &last = layers.back();
    last_weight.assign(last.weight.begin(), last.weight.end());
    last_bias = last.bias[0];
    int widest = 1;
    for (const Tiled &layer : hidden) widest = layer.outputs > widest ? layer.outputs : widest;
    front.resize(static_cast<size_t>(widest) * COLUMNS);
    back.resize(front.size());
  }

  // output[n] = network(input[n]) for n < BLOCK
  void evaluate(const double *input, double *output)
  {
    for (int n = 0; n < BLOCK; n++) front[n / LANES][n % LANES] = input[n];
    for (const Tiled &layer : hidden) {
      layer.apply(front.data(), back.data());
      front.swap(back);
    }
    Vector sum[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) sum[c] = Vector{} + last_bias;
    for (size_t k = 0; k < last_weight.size(); k++)
      for (int c = 0; c < COLUMNS; c++) sum[c] += last_weight[k] * front[k * COLUMNS + c];
    for (int n = 0; n < BLOCK; n++) output[n] = sum[n / LANES][n % LANES];
  }

 private:
  // A hidden layer whose weights lie in the order in which they are used: [outputs / ROWS][inputs][ROWS]. Its width
  // is rounded up to whole tiles by neurons that are always 0.
  struct Tiled {
    int inputs, outputs;
    std::vector<Real> weight, bias;

    Tiled(const Layer &layer, int inputs) : inputs(inputs), outputs((layer.outputs + ROWS - 1) / ROWS * ROWS)
    {
      weight.assign(static_cast<size_t>(inputs) * outputs, 0);
      bias.assign(layer.bias.begin(), layer.bias.end());
      bias.resize(outputs, 0);
      for (int row = 0; row < layer.outputs; row++)
        for (int k = 0; k < layer.inputs; k++)
          weight[(row / ROWS * inputs + k) * ROWS + row % ROWS] = layer.weight[row * layer.inputs + k];
    }

    void apply(const Vector *__restrict in, Vector *__restrict out) const
    {
      const Real *w = weight.data();
      for (int row = 0; row < outputs; row += ROWS) {
        Vector sum[ROWS][COLUMNS];
        for (int r = 0; r < ROWS; r++)
          for (int c = 0; c < COLUMNS; c++) sum[r][c] = Vector{} + bias[row + r];
        for (int k = 0; k < inputs; k++, w += ROWS)
          for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < COLUMNS; c++) sum[r][c] += w[r] * in[k * COLUMNS + c];
        for (int r = 0; r < ROWS; r++)
          for (int c = 0; c < COLUMNS; c++) out[(row + r) * COLUMNS + c] = tanh(sum[r][c]);
      }
    }
  };

  std::vector<Tiled> hidden;
  std::vector<Real> last_weight;
  Real last_bias;
  std::vector<Vector> front, back;  // activations [neuron][BLOCK]
};

}  // namespace hydrasurr

#endif
