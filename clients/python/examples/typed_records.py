"""Keys and values as dataclasses; a prefix of the key's fields as a range; fields that ride on."""

from dataclasses import dataclass
from typing import Annotated

import sop


@dataclass
class City:
    country: str
    population: Annotated[int, sop.Descending]
    twinned: Annotated[bool, sop.RideOn] = False


@dataclass
class Details:
    name: str
    mayor: str


db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    # The dataclass says order and types; a key of other types is refused, naming the field.
    cities = db.new_btree("cities", t, index_spec=City, key_type=City, value_type=Details)
    cities.upsert(
        [
            sop.Item(City("PT", 232_000), Details("Porto", "Rui")),
            sop.Item(City("PT", 545_000), Details("Lisbon", "Carlos")),
            sop.Item(City("ES", 3_223_000), Details("Madrid", "José")),
        ]
    )
    for item in cities.items(prefix={"country": "PT"}):
        print(f"{item.key.population:,} {item.value.name}")

    # Changes the field that rides on the key; the value is neither read nor written.
    cities.update_key(City("PT", 232_000, twinned=True))
    print([key.key.twinned for key in cities.items(keys_only=True)])

    try:
        bool(cities.add(sop.Item({"country": 351, "population": 1}, Details("Nowhere", ""))))
    except sop.KeyTypeDiffersError as error:
        print(f"refused: {error.metadata['field']} is {error.metadata['expected']}")
