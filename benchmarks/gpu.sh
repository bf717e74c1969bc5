#!/usr/bin/env bash
# Correctness and speed on an NVIDIA GPU, in under 9 minutes:  benchmarks/gpu.sh [--minimal] [--device cpu] [--out DIR]
#
# Needs Python >= 3.11 with torch, torch-geometric, numpy, pydantic, typer and rich, for forces also safetensors and vesin
# (vesin-torch and nvalchemi-toolkit-ops are compared where they are there); no RDKit, no ADIOS2, nothing installed from
# here. What is missing can lie in benchmarks/.cache/site (pip install --target benchmarks/.cache/site PACKAGE).
# The molecules are in benchmarks/.cache/gpu.npz; prepare that file where RDKit is and bring it along:
#   python -m benchmarks.gpu.file benchmarks/.cache/gpu.npz
# PYTHON names the interpreter, MOLECULES another file. The exit status is 1 if anything is not correct.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
case " $* " in
    *" --minimal "*) molecules=benchmarks/.cache/minimal/gpu.npz sizes="--qm9 2000 --zinc 1000" ;;
    *) molecules=benchmarks/.cache/gpu.npz sizes="" ;;
esac
molecules=${MOLECULES:-$molecules}
export PYTHONPATH="$PWD:$PWD/benchmarks/.cache/site${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ ! -f "$molecules" ]; then
    # shellcheck disable=SC2086 (options, in words)
    "$python" -m benchmarks.gpu.file "$molecules" $sizes || {
        echo "gpu.sh: there is no '$molecules', and it cannot be made here; prepare it where RDKit is" >&2
        exit 2
    }
fi
exec "$python" -m benchmarks.gpu "$molecules" "$@"
