// SPDX-License-Identifier: GPL-2.0-only
#include "weight_file.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace hydrasurr {

namespace {

const std::string MAGIC = "hydrasurr-pair-mlp";
const int VERSION = 1;
const int MAX_COUNT = 1000000;  // of anything in a file: a sum that fits any machine

[[noreturn]] void fail(const std::string &message)
{
  throw std::runtime_error(message);
}

// CRC-32 as in zlib, bit by bit.
uint32_t crc32(const char *data, size_t size)
{
  uint32_t crc = ~0u;
  for (size_t n = 0; n < size; n++) {
    crc ^= static_cast<unsigned char>(data[n]);
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

// Words of a text, separated by white space.
class Words {
 public:
  Words(const std::string &text, size_t start) : text(text), position(start) {}

  std::string next(const std::string &expected)
  {
    const size_t start = text.find_first_not_of(" \t\r\n", position);
    if (start == std::string::npos) fail("the file ends where " + expected + " was expected");
    position = std::min(text.find_first_of(" \t\r\n", start), text.size());
    return text.substr(start, position - start);
  }

  void keyword(const std::string &name)
  {
    const std::string word = next("'" + name + "'");
    if (word != name) fail("expected '" + name + "', found '" + word + "'");
  }

  double number(const std::string &name)
  {
    const std::string word = next("a number (" + name + ")");
    char *end;
    const double value = std::strtod(word.c_str(), &end);
    if (*end || !std::isfinite(value)) fail("expected a number (" + name + "), found '" + word + "'");
    return value;
  }

  int count(const std::string &name)
  {
    const double value = number(name);
    if (value < 1 || value > MAX_COUNT || value != std::floor(value))
      fail("expected a count (" + name + "), found " + std::to_string(value));
    return static_cast<int>(value);
  }

  std::vector<double> numbers(size_t size, const std::string &name)
  {
    std::vector<double> values(size);
    for (double &value : values) value = number(name);
    return values;
  }

 private:
  const std::string &text;
  size_t position;
};

std::vector<Layer> read_layers(Words &words)
{
  words.keyword("widths");
  std::vector<int> widths(words.count("number of widths"));
  for (int &width : widths) width = words.count("width");
  if (widths.size() < 2 || widths.front() != 1 || widths.back() != 1)
    fail("a network must go from one number to one number");

  std::vector<Layer> layers;
  for (size_t n = 0; n + 1 < widths.size(); n++) {
    Layer layer{widths[n], widths[n + 1], {}, {}};
    words.keyword("weight");
    layer.weight = words.numbers(static_cast<size_t>(layer.inputs) * layer.outputs, "weight");
    words.keyword("bias");
    layer.bias = words.numbers(layer.outputs, "bias");
    layers.push_back(layer);
  }
  return layers;
}

PairFunction read_pair(Words &words)
{
  PairFunction pair;
  words.keyword("pair");
  pair.first = words.next("an element");
  pair.second = words.next("an element");
  words.keyword("cutoff");
  pair.cutoff = words.number("cutoff");
  words.keyword("below");
  pair.r_min = words.number("r_min");
  pair.force_at_min = words.number("force at r_min");
  pair.slope = words.number("slope");
  if (!(0 < pair.r_min && pair.r_min < pair.cutoff)) fail("r_min must lie between 0 and the cutoff");
  words.keyword("input");
  pair.input_shift = words.number("input shift");
  pair.input_scale = words.number("input scale");
  words.keyword("output");
  pair.output_scale = words.number("output scale");
  words.keyword("switch");
  pair.switch_width = words.number("switch");
  pair.layers = read_layers(words);
  words.keyword("table");
  const int points = words.count("points of the table");
  if (points < 2) fail("a table needs at least two points");
  pair.spacing = (pair.cutoff - pair.r_min) / (points - 1);
  words.keyword("energy");
  pair.energy = words.numbers(points, "energy");
  words.keyword("force");
  pair.force = words.numbers(points, "force");
  return pair;
}

}  // namespace

double PairFunction::end(double r) const
{
  if (switch_width <= 0) return 1;
  const double t = std::min(std::max((cutoff - r) / switch_width, 0.0), 1.0);
  return t * t * t * (10 - 15 * t + 6 * t * t);
}

double PairFunction::energy_at(double r) const
{
  if (r < r_min) {
    const double depth = r_min - r;
    return energy[0] + depth * (force_at_min + 0.5 * slope * depth);
  }
  const double place = (r - r_min) / spacing;
  const size_t k = std::min(static_cast<size_t>(place), energy.size() - 2);
  const double t = place - k, s = 1 - t;
  return s * s * ((1 + 2 * t) * energy[k] - t * spacing * force[k]) +
      t * t * ((1 + 2 * s) * energy[k + 1] + s * spacing * force[k + 1]);
}

std::vector<PairFunction> parse_weight_file(const std::string &text)
{
  const size_t first_line = text.find('\n');
  if (text.compare(0, MAGIC.size(), MAGIC) != 0 || first_line == std::string::npos)
    fail("it does not begin with '" + MAGIC + "'");
  Words header(text, MAGIC.size());
  const int version = header.count("version");
  if (version != VERSION)
    fail("it has format version " + std::to_string(version) + ", this plugin reads version " +
         std::to_string(VERSION) + "; build the plugin and write the file with the same hydrasurr");
  header.keyword("crc32");
  char checksum[9];
  std::snprintf(checksum, sizeof checksum, "%08x", crc32(text.data() + first_line + 1, text.size() - first_line - 1));
  if (header.next("a checksum") != checksum) fail("its checksum is wrong: the file is incomplete or was changed");

  Words words(text, first_line);
  words.keyword("pairs");
  std::vector<PairFunction> pairs;
  for (int left = words.count("pairs"); left > 0; left--) pairs.push_back(read_pair(words));
  words.keyword("end");
  return pairs;
}

}  // namespace hydrasurr
