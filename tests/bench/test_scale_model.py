"""What the simulation of many workers and masters says at its ends, where it can be computed by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.programs import module


def simulated(workers: int, masters: int, **changes: Any) -> Any:
    found = module("harness.simulation")
    costs = {"worker_s": 1e-4, "store_s": 2e-5, "batch": 10} | changes
    return found.simulate(found.Costs(**costs), workers=workers, masters=masters, seconds=5.0)


def test_one_worker_waits_for_the_store_only_if_that_takes_longer_than_its_work() -> None:
    assert simulated(1, 1).per_s == pytest.approx(1 / 1e-4, rel=0.02)
    assert simulated(1, 1, round_trip_s=2e-3).per_s == pytest.approx(1 / 2.2e-4, rel=0.02)


def test_many_workers_carry_what_a_master_carries() -> None:
    found = simulated(40, 1)
    assert found.per_s == pytest.approx(1 / 2e-5, rel=0.02)
    assert (found.saturated, found.store_busy) == ("masters", pytest.approx(1, abs=0.02))


def test_accepting_takes_its_part_of_a_master_and_none_of_a_worker() -> None:
    assert simulated(1, 1, accept_s=2e-5).per_s == pytest.approx(1 / 1e-4, rel=0.02)
    assert simulated(40, 1, accept_s=2e-5).per_s == pytest.approx(1 / 4e-5, rel=0.02)


def test_few_workers_on_many_masters_hardly_wait_for_each_other() -> None:
    found = simulated(4, 12)
    assert found.per_s == pytest.approx(4 / 1e-4, rel=0.1)
    assert found.saturated == "workers"


def test_every_partition_has_a_master_and_every_master_some() -> None:
    masters = module("harness.simulation").masters_of(64, 6)
    assert len(masters) == 64
    assert set(masters) == set(range(6))


@pytest.mark.parametrize(("factor", "status"), [(1.9, 0), (1.0, 1)])
def test_what_was_measured_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, status: int
) -> None:
    """Two workers that are no quicker than one are not what was computed."""
    drained = {"worker_cpu": 0.1, "store_cpu": 0.01, "steady_per_s": 3000.0}
    two = drained | {"steady_per_s": 3000.0 * factor}
    measured = {"rounds": {"1 worker": [drained], "2 workers": [two]}, "options": {"share": 0.3}}
    path = tmp_path / "workers.json"
    path.write_text(json.dumps(measured))
    assert module("scale_model").check(json.loads(path.read_text()), 0.15) == status
    assert "2 workers" in capsys.readouterr().out
