"""From a table of SMILES to a BP data set, against RDKit alone and against OGB's conversion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from types import FunctionType, SimpleNamespace

from rdkit import Chem

from benchmarks.measure import Timing, interleaved
from benchmarks.molecules import Setting, card, smiles
from benchmarks.result import Bar, Result
from hydrasurr.graphs.smiles import featurize
from preprocessing.card import Card
from preprocessing.pipeline import preprocess

WHOLE, ATOMS, GRAPHS, PARSE = "hydrasurr, SMILES -> BP", "RDKit, parse + AddHs", "hydrasurr, SMILES -> graphs", "parse"
OGB = "OGB, smiles2graph"


def run(setting: Setting) -> Result:
    """Everything that `hydrasurr-preprocess` does, with explicit hydrogens and all features."""
    ogb = ogb_converter()
    result = Result(
        "preprocess",
        "molecules a second of one core from a table of SMILES to a BP data set, with explicit hydrogens and all "
        f"features; against RDKit alone and ogb {metadata.version('ogb')}",
        minimal=setting.minimal,
    )
    for source in setting.sources():
        _one_core(result, setting, source, ogb)
    for source in setting.sources():
        _two_processes(result, setting, source)
    result.notes += [
        "ratios to RDKit and OGB are of CPU time, that of two processes to one of wall time, their start included",
        "smiles2graph parses without hydrogens; here its parse is MolFromSmiles followed by AddHs, so that it walks "
        "the same atoms and bonds",
    ]
    return result


def ogb_converter() -> Callable[[str], dict]:
    """`smiles2graph` for molecules with explicit hydrogens.

    Its own parse would drop hydrogens, even written ones. So this is its code with another `Chem.MolFromSmiles`, which
    also calls `AddHs`.
    """
    try:
        from ogb.utils import mol as module
    except ImportError as error:
        raise SystemExit(
            f"the benchmark 'preprocess' compares with OGB: pip install --no-deps ogb ({error})"
        ) from error
    chem = SimpleNamespace(MolFromSmiles=parse_with_hydrogens)
    smiles2graph = FunctionType(module.smiles2graph.__code__, {**vars(module), "Chem": chem})
    nodes = smiles2graph("C")["num_nodes"]
    assert nodes == 5, f"smiles2graph makes {nodes} nodes of methane instead of 5: this ogb reads SMILES in another way"
    return smiles2graph


def parse_with_hydrogens(text: str) -> Chem.Mol:
    return Chem.AddHs(Chem.MolFromSmiles(text))


def _one_core(result: Result, setting: Setting, source: str, ogb: Callable[[str], dict]) -> None:
    count = setting.size(10_000, 200)
    texts, table = smiles(source, count), card(setting, source, count)
    size = len(texts)
    chunk = 256  # as many as the pipeline featurizes at a time in a table of this size

    def graphs() -> int:
        for start in range(0, size, chunk):
            featurize(texts[start : start + chunk])
        return size

    timing = interleaved(
        {
            WHOLE: lambda: _preprocess(setting, table, size, workers=1),
            ATOMS: lambda: _each(parse_with_hydrogens, texts),
            OGB: lambda: _each(ogb, texts),
            GRAPHS: graphs,
            PARSE: lambda: _each(Chem.MolFromSmiles, texts),
        },
        setting.repeats,
    )
    for name in (WHOLE, ATOMS, OGB, GRAPHS):
        _add_row(result, source, name, timing[name], timing[name].cpu_rate)
    whole = timing[WHOLE]
    result.bars.append(
        Bar(f"{source}: SMILES -> BP / RDKit's parse + AddHs", whole.over(timing[ATOMS], "cpu"), 0.5, 0.7)
    )
    result.bars.append(Bar(f"{source}: SMILES -> BP / OGB's smiles2graph", whole.over(timing[OGB], "cpu"), 4, 6))
    parse, featurized = (whole.over(timing[name], "cpu") for name in (PARSE, GRAPHS))
    result.notes.append(
        f"{source}: of the CPU time from SMILES to BP {parse:.0%} is RDKit's MolFromSmiles, {featurized - parse:.0%} "
        f"atoms, bonds and hydrogens as arrays, {1 - featurized:.0%} reading, splitting, statistics and writing; "
        f"RDKit's parse + AddHs alone is {timing[ATOMS].over(timing[OGB], 'cpu'):.1f} times as fast as OGB"
    )


def _two_processes(result: Result, setting: Setting, source: str) -> None:
    count = setting.size(80_000, 600)
    table, size = card(setting, source, count), len(smiles(source, count))
    one, two = f"{WHOLE}, {size:,} molecules, 1 process", f"{WHOLE}, {size:,} molecules, 2 processes"
    cases = {one: lambda: _preprocess(setting, table, size, 1), two: lambda: _preprocess(setting, table, size, 2)}
    timing = interleaved(cases, min(setting.repeats, 3), warmup=0)
    _add_row(result, source, one, timing[one], timing[one].cpu_rate)
    _add_row(result, source, two, timing[two], "")
    result.bars.append(Bar(f"{source}: 2 processes / 1", timing[two].over(timing[one]), 1.8))


def _preprocess(setting: Setting, table: Card, size: int, workers: int) -> int:
    outcome = preprocess(table, setting.cache / "preprocessed.bp", workers=workers, force=True, show=False)
    assert sum(outcome.info.graphs.values()) == size, f"{outcome.info.graphs} of {size} molecules"
    return size


def _each(function: Callable[[str], object], texts: Sequence[str]) -> int:
    for text in texts:
        function(text)
    return len(texts)


def _add_row(result: Result, source: str, name: str, timing: Timing, cpu_rate: float | str) -> None:
    result.rows.append({"molecules": source, "what": name, "molecules/s": timing.rate, "molecules/CPU-s": cpu_rate})
