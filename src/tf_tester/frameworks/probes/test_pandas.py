"""What any pandas does: groups, joins, days, tables that are saved and loaded."""

import pandas as pd


def table():
    return pd.DataFrame({"kind": ["a", "b", "a"], "value": [1.0, 2.0, 3.5]})


def test_numbers():
    assert table().groupby("kind")["value"].sum().to_dict() == {"a": 4.5, "b": 2.0}
    joined = table().merge(pd.DataFrame({"kind": ["a", "b"], "weight": [2, 3]}), on="kind")
    assert sorted(joined["value"] * joined["weight"]) == [2.0, 6.0, 7.0]


def test_days():
    days = pd.date_range("2024-02-28", periods=3, freq="D")
    assert [day.day for day in days] == [28, 29, 1]


def test_a_table_is_loaded(tmp_path):
    table().to_csv(str(tmp_path / "table.csv"), index=False)
    assert pd.read_csv(str(tmp_path / "table.csv")).equals(table())
    table().to_pickle(str(tmp_path / "table.pickle"))
    assert pd.read_pickle(str(tmp_path / "table.pickle")).equals(table())
