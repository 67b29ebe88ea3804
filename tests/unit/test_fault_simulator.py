"""Under faults that a seed chooses, everything that was promised holds; and a safeguard that is missing is found."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from tests.faults.plants import PLANTS
from tests.faults.processes.database import Store
from tests.faults.schedule import play
from tests.faults.shrink import kind_of, shrink

ROOT = Path(__file__).parents[2]
SHORT = 25  # schedules in one test
MORE_SEEDS = 30  # that are played where the code has changed, and the stored one finds a planted bug no more


@pytest.mark.parametrize("first", range(0, 4 * SHORT, SHORT))
def test_what_was_promised_holds_under_faults(first: int) -> None:
    for seed in range(first, first + SHORT):
        outcome = play(seed)
        assert outcome.violation is None, f"python -m tests.faults --seed {seed}"


@pytest.mark.parametrize(
    "seed",
    [
        40,
        243,
        285,
        301,
        345,
        639,
        1072,
        4288,
        6471,
        7254,
        8330,
        11371,
        13434,
        15754,
        21468,
        21477,
        46263,
        79657,
        261884,
        10002069,
        10033754,
    ],
)
def test_what_a_seed_has_found_is_mended(seed: int) -> None:
    outcome = play(seed)
    assert outcome.violation is None, f"python -m tests.faults --seed {seed}"


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    plant = PLANTS[name]
    with plant.planted():
        seeds = itertools.chain([plant.seed], range(MORE_SEEDS))
        found, violation = next(
            ((seed, said) for seed in seeds if (said := play(seed).violation) is not None), (None, "")
        )
    assert found is not None, plant.what
    assert "TypeError" not in violation, "it is the plant that does not fit the code any more"
    assert play(found).violation is None, "it is the bug that was found"


def test_a_seed_and_its_choices_repeat_a_schedule() -> None:
    first, again = play(17, traced=True), play(17, traced=True)
    assert first == again
    assert play(17, played=first.made, traced=True) == first


def test_a_seed_repeats_a_schedule_in_another_process_with_other_hashes() -> None:
    def played(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.faults", "--seed", "17", "--whole"]
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    first = played("1")
    assert first.count("\n") > 100
    assert first == played("2")


def test_a_violation_is_shrunk_to_fewer_faults_and_choices() -> None:
    plant = PLANTS["gaps"]
    with plant.planted():
        found = play(plant.seed)
        assert found.violation is not None
        simplest = shrink(plant.seed, found, attempts=60)
        again = play(plant.seed, played=simplest.made)
    assert again == simplest
    assert simplest.violation is not None
    assert kind_of(simplest.violation) == kind_of(found.violation)
    assert simplest.faults <= found.faults
    assert sum(map(bool, simplest.made)) < sum(map(bool, found.made))


def test_the_store_has_its_indexes_in_the_same_order_in_every_process() -> None:
    names = [name for (name,) in Store().raw("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql > ''")]
    by_table = [
        name for table in SQLModel.metadata.sorted_tables for name in sorted(str(i.name) for i in table.indexes)
    ]
    assert names == by_table, "SQLite takes the first of two that cost the same, so rows come in another order"
