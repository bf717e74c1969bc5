// SPDX-License-Identifier: GPL-2.0-only
// Registers the pair style with LAMMPS.
#include "lammpsplugin.h"
#include "pair_hydrasurr_mlp.h"

static void *create_pair(LAMMPS_NS::LAMMPS *lammps)
{
  return static_cast<LAMMPS_NS::Pair *>(new LAMMPS_NS::PairHydrasurrMLP(lammps));
}

extern "C" void lammpsplugin_init(void *lammps, void *handle, void *register_plugin)
{
  lammpsplugin_t plugin;
  plugin.version = HYDRASURR_LAMMPS_VERSION;
  plugin.style = "pair";
  plugin.name = "hydrasurr/mlp";
  plugin.info = "pair potential whose force is a neural network of the distance";
  plugin.author = "the hydrasurr developers";
  plugin.creator.v1 = create_pair;
  plugin.handle = handle;
  reinterpret_cast<lammpsplugin_register>(register_plugin)(&plugin, lammps);
}
