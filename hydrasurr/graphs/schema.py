"""What the integer codes of a graph mean: the feature schema, stored with every data set and model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from hydrasurr.errors import SchemaError

SCHEMA_VERSION = 1

ELEMENTS = (
    "* H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
"""Symbols by atomic number; number 0 is SMILES' wildcard atom `*`."""


@dataclass(frozen=True)
class Feature:
    """A categorical feature. The code of a value (uint8) is its position in `values`."""

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= 256:
            raise SchemaError(f"feature '{self.name}' has {len(self.values)} values; a uint8 code allows 1 to 256")


@dataclass(frozen=True)
class Target:
    """A property to learn: its name, its unit, and whether a graph or each node has one."""

    name: str
    unit: str = ""
    level: str = "graph"


@dataclass(frozen=True)
class FeatureSchema:
    """The columns of `x` and `edge_attr` and how molecules became graphs.

    Two graphs may meet the same model only if their schemas are equal; `require` says what differs.
    """

    nodes: tuple[Feature, ...]
    edges: tuple[Feature, ...]
    explicit_hydrogens: bool = True
    version: int = SCHEMA_VERSION

    @cached_property
    def node_sizes(self) -> tuple[int, ...]:
        """Number of values of each node feature."""
        return tuple(len(feature.values) for feature in self.nodes)

    @cached_property
    def edge_sizes(self) -> tuple[int, ...]:
        """Number of values of each edge feature."""
        return tuple(len(feature.values) for feature in self.edges)

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> FeatureSchema:
        """Rebuild a schema. Raises SchemaError if the text is not one, or of a newer version."""
        try:
            raw = json.loads(text)
            version = raw["version"]
            if version > SCHEMA_VERSION:
                raise SchemaError(
                    f"the data use feature schema version {version}, this hydrasurr knows up to {SCHEMA_VERSION}: "
                    "upgrade hydrasurr, or preprocess the table again"
                )
            features = {
                level: tuple(Feature(f["name"], tuple(f["values"])) for f in raw[level]) for level in ("nodes", "edges")
            }
            return cls(**features, explicit_hydrogens=raw["explicit_hydrogens"], version=version)
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"not a feature schema ({error!r}): {text[:80]!r}") from error

    def require(self, other: FeatureSchema, who: str = "the data") -> None:
        """Raise SchemaError, naming every difference, unless `other` equals this schema."""
        differences = []
        for field in ("version", "explicit_hydrogens"):
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                differences.append(f"{field} is {theirs}, expected {mine}")
        for level in ("nodes", "edges"):
            mine, theirs = (tuple(f.name for f in getattr(s, level)) for s in (self, other))
            if mine != theirs:
                differences.append(f"features of {level} are {list(theirs)}, expected {list(mine)}")
                continue
            differences += [
                f"values of {level} feature '{a.name}' differ"
                for a, b in zip(getattr(self, level), getattr(other, level), strict=True)
                if a != b
            ]
        if differences:
            raise SchemaError(
                f"{who} has another feature schema than the model: {'; '.join(differences)}. "
                "Preprocess with the same options as the model's training data."
            )


def _counts(last: int) -> tuple[str, ...]:
    return (*map(str, range(last)), f">={last}")


MAX_CHARGE = 6
MAX_DEGREE = 12
MAX_HYDROGENS = 8
MAX_RADICALS = 4


def molecule_schema(explicit_hydrogens: bool = True) -> FeatureSchema:
    """The schema that `hydrasurr.graphs.smiles` fills: 9 node and 4 edge features.

    Chirality is the CIP label, which unlike RDKit's CW/CCW tag does not depend on the order of the atoms
    in the SMILES. Counts and charges beyond the ends of their range take the end's code.
    """
    charges = (f"<=-{MAX_CHARGE}", *map(str, range(1 - MAX_CHARGE, MAX_CHARGE)), f">={MAX_CHARGE}")
    flag = ("no", "yes")
    return FeatureSchema(
        nodes=(
            Feature("element", tuple(ELEMENTS)),
            Feature("formal_charge", charges),
            Feature("chirality", ("none", "R", "S", "other")),
            Feature(
                "hybridization", ("unspecified", "S", "SP", "SP2", "SP3", "SP2D", "SP3D", "SP3D2", "other")
            ),
            Feature("aromatic", flag),
            Feature("ring", flag),
            Feature("degree", _counts(MAX_DEGREE)),
            Feature("hydrogens", _counts(MAX_HYDROGENS)),
            Feature("radical_electrons", _counts(MAX_RADICALS)),
        ),
        edges=(
            Feature("bond_type", ("other", "single", "double", "triple", "aromatic", "dative")),
            Feature("stereo", ("none", "any", "Z", "E", "cis", "trans", "other")),
            Feature("conjugated", flag),
            Feature("ring", flag),
        ),
        explicit_hydrogens=explicit_hydrogens,
    )
