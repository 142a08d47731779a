"""What holds for every test: it leaves no task behind, and it is held against the ledger of requirements."""

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest

pytest_plugins = ["tests.ledger.plugin"]


@pytest.fixture(autouse=True)
def leaves_no_task(request: pytest.FixtureRequest) -> None:
    """Fail an asynchronous test that leaves a task running; a test without an event loop pays nothing."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("task_watch")


@pytest.fixture
async def task_watch() -> AsyncIterator[None]:
    """Compare the tasks of the event loop before and after.

    It is set up first and torn down last: tasks that other fixtures end in their tear-down are not held against a test.
    """
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # a task that has just been cancelled ends in this turn
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        names = sorted(f"{task.get_name()} {task.get_coro()}" for task in left)
        pytest.fail(f"left running: {', '.join(names)}", pytrace=False)
