from typing import Any

from chargepoint.answer_memory import RESEND_WINDOW, AnswerMemory, Recall
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply
from tests.exchange import talking


class Counter:
    """Serves ClearCache, and counts how often."""

    def __init__(self) -> None:
        self.handled = 0

    async def __call__(self, request: Any, action: str) -> Reply:
        self.handled += 1
        status = enums.ClearCacheStatus.accepted if self.handled == 1 else enums.ClearCacheStatus.rejected
        return Reply(call_result.ClearCache(status=status))


CLEAR_CACHE = [2, "1", "ClearCache", {}]
FIRST_ANSWER = [3, "1", {"status": "Accepted"}]


async def test_the_same_request_again_gets_the_same_answer_and_is_not_handled_again() -> None:
    serve = Counter()
    async with talking(serve) as talk:
        assert await talk.pipe.ask(CLEAR_CACHE) == FIRST_ANSWER
        assert await talk.pipe.ask(CLEAR_CACHE) == FIRST_ANSWER
    assert serve.handled == 1
    assert talk.events == []


async def test_the_same_id_with_other_content_is_an_attempted_replay() -> None:
    serve = Counter()
    async with talking(serve) as talk:
        await talk.pipe.ask(CLEAR_CACHE)
        answer = await talk.pipe.ask([2, "1", "Reset", {"type": "Hard"}])
        assert answer == [4, "1", "SecurityError", "this message id was used before", {}]
        assert await talk.event() == ("AttemptedReplayAttacks", "a message id came again with other content")
        assert await talk.pipe.ask(CLEAR_CACHE) == FIRST_ANSWER
    assert serve.handled == 1


async def test_an_answer_lost_with_the_connection_is_given_on_the_next_one() -> None:
    serve, memory = Counter(), AnswerMemory()
    async with talking(serve, memory=memory) as talk:
        await talk.pipe.ask(CLEAR_CACHE)
    async with talking(serve, memory=memory) as talk:
        assert await talk.pipe.ask(CLEAR_CACHE) == FIRST_ANSWER
    assert serve.handled == 1


async def test_a_central_system_that_counts_its_ids_from_1_on_each_connection_is_no_attacker() -> None:
    memory = AnswerMemory()
    async with talking(memory=memory) as talk:
        await talk.pipe.ask([2, "1", "Reset", {"type": "Hard"}])
    async with talking(memory=memory) as talk:
        assert await talk.pipe.ask(CLEAR_CACHE) == FIRST_ANSWER
    assert talk.events == []


def test_after_the_resend_window_the_same_request_on_another_connection_is_a_new_one() -> None:
    now = 0.0
    memory = AnswerMemory(monotonic=lambda: now)
    memory.remember("1", b"d", "answer")
    now = 2 * RESEND_WINDOW.total_seconds()
    assert memory.recall("1", b"d") == "answer"
    memory.begin_connection()
    assert memory.recall("1", b"d") is Recall.NEW


def test_it_is_bounded_in_number() -> None:
    memory = AnswerMemory(max_answers=2)
    for unique_id in "123":
        memory.remember(unique_id, b"d", "answer")
    assert [memory.recall(unique_id, b"d") for unique_id in "123"] == [Recall.NEW, "answer", "answer"]


def test_it_is_bounded_in_bytes() -> None:
    memory = AnswerMemory(max_bytes=10)
    memory.remember("1", b"d", "x" * 6)
    memory.remember("1", b"d", "y" * 6)
    assert memory.recall("1", b"d") == "y" * 6
    memory.remember("2", b"d", "x" * 6)
    assert memory.recall("1", b"d") is Recall.NEW
    assert memory.recall("2", b"d") == "x" * 6
    memory.remember("3", b"d", "x" * 11)
    assert memory.recall("3", b"d") is Recall.NEW
