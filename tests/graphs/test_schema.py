"""The feature schema: stored as JSON, compared when model and data meet."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import SchemaError
from hydrasurr.graphs import Feature, FeatureSchema, molecule_schema
from hydrasurr.graphs.schema import SCHEMA_VERSION

features = st.lists(
    st.builds(Feature, st.text(), st.lists(st.text(), min_size=1, max_size=5).map(tuple)), max_size=4
).map(tuple)
schemas = st.builds(FeatureSchema, features, features, st.booleans())


@given(schemas)
def test_json_there_and_back(schema: FeatureSchema) -> None:
    assert FeatureSchema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize("explicit", [True, False])
def test_molecule_schema(explicit: bool) -> None:
    schema = molecule_schema(explicit)
    assert FeatureSchema.from_json(schema.to_json()) == schema
    assert schema.explicit_hydrogens is explicit
    assert schema.node_sizes == (119, 13, 4, 9, 2, 2, 13, 9, 5)
    assert schema.edge_sizes == (6, 7, 2, 2)
    for feature in (*schema.nodes, *schema.edges):
        assert len(set(feature.values)) == len(feature.values), feature.name


def test_newer_version() -> None:
    newer = replace(molecule_schema(), version=SCHEMA_VERSION + 1).to_json()
    with pytest.raises(SchemaError, match=f"version {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}: upgrade"):
        FeatureSchema.from_json(newer)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"x"', "{}", '{"version": 1}', '{"version": "1"}', '{"version": null}']
)
def test_no_schema(text: str) -> None:
    with pytest.raises(SchemaError, match="not a feature schema"):
        FeatureSchema.from_json(text)


def test_schema_with_a_feature_that_is_none() -> None:
    raw = json.loads(molecule_schema().to_json())
    raw["nodes"][0] = {"name": "element"}
    with pytest.raises(SchemaError, match="not a feature schema.*values"):
        FeatureSchema.from_json(json.dumps(raw))


@pytest.mark.parametrize("size", [0, 257])
def test_codes_are_bytes(size: int) -> None:
    with pytest.raises(SchemaError, match=f"feature 'wide' has {size} values; a uint8 code allows 1 to 256"):
        Feature("wide", tuple(map(str, range(size))))
    assert len(Feature("wide", tuple(map(str, range(256)))).values) == 256


@given(schemas)
def test_require_itself(schema: FeatureSchema) -> None:
    schema.require(FeatureSchema.from_json(schema.to_json()))


@given(schemas, schemas)
def test_require_fails_exactly_if_schemas_differ(schema: FeatureSchema, other: FeatureSchema) -> None:
    if schema == other:
        schema.require(other)
    else:
        with pytest.raises(SchemaError):
            schema.require(other)


def test_require_names_every_difference() -> None:
    schema = molecule_schema()
    elements, *others = schema.nodes
    other = replace(
        schema,
        explicit_hydrogens=False,
        nodes=(replace(elements, values=elements.values[:100]), *others),
        edges=schema.edges[:2],
    )
    with pytest.raises(SchemaError) as caught:
        schema.require(other, "'a.bp'")
    message = str(caught.value)
    assert message.startswith("'a.bp' has another feature schema than the model: ")
    assert "explicit_hydrogens is False, expected True" in message
    assert "values of nodes feature 'element' differ" in message
    assert "['bond_type', 'stereo'], expected ['bond_type', 'stereo', 'conjugated', 'ring']" in message
    assert "Preprocess" in message


def test_require_sees_order() -> None:
    schema = molecule_schema()
    with pytest.raises(SchemaError, match="features of nodes"):
        schema.require(replace(schema, nodes=schema.nodes[::-1]))
