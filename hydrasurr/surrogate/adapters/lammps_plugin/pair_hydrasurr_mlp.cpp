// SPDX-License-Identifier: GPL-2.0-only
#include "pair_hydrasurr_mlp.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

using namespace LAMMPS_NS;
using hydrasurr::BATCH;
using hydrasurr::Network;
using hydrasurr::PairFunction;

// Pairs that wait for their network.
struct PairHydrasurrMLP::Batch {
  int count = 0;
  int i[BATCH], j[BATCH];
  double dx[BATCH], dy[BATCH], dz[BATCH], rsq[BATCH], factor[BATCH];
};

// ---------------------------------------------------------------------------------------------------------------

PairHydrasurrMLP::PairHydrasurrMLP(LAMMPS *lmp) :
    Pair(lmp), double_precision(false), unit(1.0), below_seen(0)
{
  single_enable = 1;
  restartinfo = 0;    // a restart file does not carry the networks: give pair_style and pair_coeff again
  one_coeff = 1;
  writedata = 0;
  respa_enable = 0;
}

PairHydrasurrMLP::~PairHydrasurrMLP()
{
  if (!allocated || copymode) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairHydrasurrMLP::allocate()
{
  const int size = atom->ntypes + 1;
  memory->create(setflag, size, size, "pair:setflag");
  memory->create(cutsq, size, size, "pair:cutsq");
  for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++) setflag[i][j] = 0;
  map = new int[size];
  allocated = 1;
}

void PairHydrasurrMLP::settings(int narg, char **arg)
{
  const std::string value = narg == 0 ? "single" : narg == 2 && !strcmp(arg[0], "precision") ? arg[1] : "";
  if (value != "single" && value != "double")
    error->all(FLERR, "pair_style hydrasurr/mlp: expected nothing more, or 'precision single', or 'precision double'");
  double_precision = value == "double";
  for (auto &network : networks)    // the style is given again
    network = hydrasurr::make_network(network->function, double_precision);
}

void PairHydrasurrMLP::coeff(int narg, char **arg)
{
  if (narg != 3 + atom->ntypes)
    error->all(FLERR, "pair_coeff for hydrasurr/mlp: expected '* * FILE' and {} element(s), one for each atom type",
               atom->ntypes);
  if (!allocated) allocate();
  map_element2type(narg - 3, arg + 3);

  const std::string path = arg[2];
  std::vector<PairFunction> functions;
  try {
    functions = hydrasurr::parse_weight_file(read_on_first_rank(path));
  } catch (const std::runtime_error &problem) {
    error->all(FLERR, "hydrasurr/mlp cannot use file '{}': {}", path, problem.what());
  }
  networks.clear();
  for (const PairFunction &function : functions)
    networks.push_back(hydrasurr::make_network(function, double_precision));
  batches.assign(networks.size(), Batch());

  network_of.assign(atom->ntypes + 1, std::vector<int>(atom->ntypes + 1, -1));
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++)
      if (map[i] >= 0 && map[j] >= 0) network_of[i][j] = find_network(elements[map[i]], elements[map[j]], path);
}

// The text of a file, on all ranks.
std::string PairHydrasurrMLP::read_on_first_rank(const std::string &path)
{
  std::string text;
  bigint size = -1;
  if (comm->me == 0) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    if (file && content << file.rdbuf()) {
      text = content.str();
      size = text.size();
    }
  }
  MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
  if (size < 0) throw std::runtime_error("it is missing, empty or cannot be read");
  text.resize(size);
  MPI_Bcast(&text[0], static_cast<int>(size), MPI_CHAR, 0, world);
  return text;
}

int PairHydrasurrMLP::find_network(const std::string &a, const std::string &b, const std::string &path) const
{
  std::string known;
  for (size_t n = 0; n < networks.size(); n++) {
    const PairFunction &function = networks[n]->function;
    if ((function.first == a && function.second == b) || (function.first == b && function.second == a)) return n;
    known += (n ? ", " : "") + function.first + "-" + function.second;
  }
  error->all(FLERR, "hydrasurr/mlp: file '{}' has no network for the elements {}-{}; it has {}", path, a, b, known);
}

void PairHydrasurrMLP::init_style()
{
  const std::string units = update->unit_style;
  if (units == "real")
    unit = 23.060547830619026;    // kcal/mol
  else if (units == "metal" || units == "lj")
    unit = 1.0;
  else
    error->all(FLERR, "pair_style hydrasurr/mlp needs units metal, real or lj, not {}", units);
  Pair::init_style();
}

double PairHydrasurrMLP::init_one(int i, int j)
{
  if (setflag[i][j] == 0 || network_of[i][j] < 0)
    error->all(FLERR, "pair_coeff for hydrasurr/mlp gives no element to atom type {} or {}", i, j);
  return networks[network_of[i][j]]->function.cutoff;
}

// ---------------------------------------------------------------------------------------------------------------

void PairHydrasurrMLP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);

  const double *const *const x = atom->x;
  const int *const type = atom->type;
  const double *const special = force->special_lj;

  for (int ii = 0; ii < list->inum; ii++) {
    const int i = list->ilist[ii];
    const double xi = x[i][0], yi = x[i][1], zi = x[i][2];
    const double *const cutoff_squared = cutsq[type[i]];
    const int *const network = network_of[type[i]].data();
    const int *const neighbours = list->firstneigh[i];
    const int count = list->numneigh[i];

    for (int jj = 0; jj < count; jj++) {
      const int j = neighbours[jj] & NEIGHMASK;
      const double dx = xi - x[j][0], dy = yi - x[j][1], dz = zi - x[j][2];
      const double rsq = dx * dx + dy * dy + dz * dz;
      if (rsq >= cutoff_squared[type[j]]) continue;

      Batch &batch = batches[network[type[j]]];
      const int n = batch.count++;
      batch.i[n] = i;
      batch.j[n] = j;
      batch.dx[n] = dx;
      batch.dy[n] = dy;
      batch.dz[n] = dz;
      batch.rsq[n] = rsq;
      batch.factor[n] = special[sbmask(neighbours[jj])];
      if (batch.count == BATCH) flush(network[type[j]]);
    }
  }
  for (size_t network = 0; network < networks.size(); network++) flush(network);

  if (vflag_fdotr) virial_fdotr_compute();
}

// Evaluates the waiting pairs of a network and adds their forces.
void PairHydrasurrMLP::flush(int network)
{
  Batch &batch = batches[network];
  const PairFunction &function = networks[network]->function;
  const int count = batch.count, nlocal = atom->nlocal, newton = force->newton_pair;
  if (count == 0) return;
  double distance[BATCH], strength[BATCH];
  for (int n = 0; n < count; n++) distance[n] = std::sqrt(batch.rsq[n]);
  networks[network]->forces(count, distance, strength);

  double *const *const f = atom->f;
  for (int n = 0; n < count; n++) {
    const int i = batch.i[n], j = batch.j[n];
    const bool both = newton || j < nlocal;
    const double fpair = unit * batch.factor[n] * strength[n] / distance[n];
    const double fx = batch.dx[n] * fpair, fy = batch.dy[n] * fpair, fz = batch.dz[n] * fpair;
    f[i][0] += fx;
    f[i][1] += fy;
    f[i][2] += fz;
    if (both) {
      f[j][0] -= fx;
      f[j][1] -= fy;
      f[j][2] -= fz;
    }
    if (distance[n] < function.r_min) below_seen += both ? 2 : 1;
    if (evflag) {
      const double energy =
          eflag_either ? unit * batch.factor[n] * function.energy_at(distance[n]) : 0.0;
      ev_tally(i, j, nlocal, newton, energy, 0.0, fpair, batch.dx[n], batch.dy[n], batch.dz[n]);
    }
  }
  batch.count = 0;
}

double PairHydrasurrMLP::single(int, int, int itype, int jtype, double rsq, double, double factor_lj, double &fforce)
{
  Network &network = *networks[network_of[itype][jtype]];
  const double distance = std::sqrt(rsq);
  double strength[BATCH];
  network.forces(1, &distance, strength);
  fforce = unit * factor_lj * strength[0] / distance;
  return unit * factor_lj * network.function.energy_at(distance);
}

// LAMMPS calls this at the end of a run.
void PairHydrasurrMLP::finish()
{
  bigint all;
  MPI_Allreduce(&below_seen, &all, 1, MPI_LMP_BIGINT, MPI_SUM, world);
  if (all && comm->me == 0)
    error->warning(FLERR, "hydrasurr/mlp: {} times in this run a pair was nearer than the network was trained for "
                   "(its force was continued as a straight line)", all / 2);
  below_seen = 0;
}

double PairHydrasurrMLP::memory_usage()
{
  double bytes = Pair::memory_usage() + batches.size() * sizeof(Batch);
  for (const auto &network : networks) {
    bytes += 2 * network->function.energy.size() * sizeof(double);
    for (const auto &layer : network->function.layers) bytes += layer.weight.size() * 2 * sizeof(double);
  }
  return bytes;
}
