"""What caching adds at Wan's real shapes is held to a committed budget."""

import json

import pytest

from bwcache import FirstBlockCacheConfig
from tests.pipelines.budget import FILE, Added, added

MIB = 2**20


@pytest.fixture(scope="module")
def counted() -> Added:
    return added()


def test_no_more_than_the_budget(counted):
    budget = Added(**json.loads(FILE.read_text(encoding="utf-8")))
    assert counted.operations_per_block <= budget.operations_per_block
    assert counted.operations_per_step <= budget.operations_per_step
    assert counted.replay_bytes <= budget.replay_bytes
    assert counted.sample_bytes <= budget.sample_bytes
    assert counted.host_reads <= budget.host_reads == 1


def test_the_budget_itself_is_small(counted):
    """One stack tensor a branch and at most 64 MiB; a few operations a block of hundreds."""
    assert counted.replay_bytes == counted.stack_bytes
    assert counted.sample_bytes < 64 * MIB
    assert counted.operations_per_step < 0.03 * counted.plain_operations
    assert counted.reused_operations < 0.03 * counted.plain_operations


def test_another_method_is_counted_alike():
    """First Block Cache keeps as much, measures one block whole, and reads within the step."""
    counted = added(FirstBlockCacheConfig(0.05))
    assert counted.replay_bytes == counted.stack_bytes
    assert counted.host_reads == 1
