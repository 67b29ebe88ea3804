"""The SDK's walks through payloads: spared where they do nothing, in the versions that were tested, and only there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import temporalio
from temporalio.api.common.v1 import Payload
from temporalio.bridge import worker as bridge
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivation, WorkflowActivationJob
from temporalio.converter import PayloadCodec
from temporalio.converter._extstore import StorageOperationMetrics

from worker.converter import DATA_CONVERTER
from workflows.payload_visits import TESTED, spare_payload_visits


class _Upper(PayloadCodec):
    async def encode(self, payloads: Any) -> list[Payload]:
        return [Payload(metadata=p.metadata, data=p.data.upper()) for p in payloads]

    async def decode(self, payloads: Any) -> list[Payload]:
        return await self.encode(payloads)


def _functions() -> SimpleNamespace:
    """Return functions of the SDK's shape, which say that they were called."""

    async def decode_activation(
        activation: list[str], data_converter: Any, decode_headers: bool, storage_concurrency_limit: int
    ) -> StorageOperationMetrics:
        activation.append("visited")
        return StorageOperationMetrics()

    async def encode_completion(
        completion: list[str], data_converter: Any, encode_headers: bool, storage_concurrency_limit: int
    ) -> StorageOperationMetrics:
        completion.append("visited")
        return StorageOperationMetrics()

    return SimpleNamespace(decode_activation=decode_activation, encode_completion=encode_completion)


async def _visits(module: Any, converter: Any) -> tuple[list[str], list[str]]:
    given: tuple[list[str], list[str]] = ([], [])
    await module.decode_activation(given[0], converter, decode_headers=False, storage_concurrency_limit=3)
    await module.encode_completion(given[1], converter, encode_headers=False, storage_concurrency_limit=3)
    return given


def test_the_sdk_that_is_locked_is_one_that_was_tested() -> None:
    assert temporalio.__version__ in TESTED, "try the new one: are visits still spared, and do histories replay?"
    assert spare_payload_visits()


async def test_nothing_is_visited_without_a_codec_and_all_is_with_one() -> None:
    module = _functions()
    assert spare_payload_visits(TESTED[0], module)
    assert await _visits(module, DATA_CONVERTER) == ([], [])
    assert await _visits(module, replace(DATA_CONVERTER, payload_codec=_Upper())) == (["visited"], ["visited"])


async def test_a_version_that_was_not_tested_works_as_it_is() -> None:
    module = _functions()
    before = dict(vars(module))
    assert not spare_payload_visits("1.99.0", module)
    assert vars(module) == before
    assert await _visits(module, DATA_CONVERTER) == (["visited"], ["visited"])


def test_functions_of_another_shape_stay_as_they_are() -> None:
    async def decode_activation(activation: Any, data_converter: Any) -> None: ...

    module = _functions()
    module.decode_activation = decode_activation
    assert not spare_payload_visits(TESTED[0], module)
    assert module.decode_activation is decode_activation
    assert not spare_payload_visits(TESTED[0], SimpleNamespace())


def test_they_are_replaced_once() -> None:
    module = _functions()
    assert spare_payload_visits(TESTED[0], module)
    once = module.decode_activation
    assert spare_payload_visits(TESTED[0], module)
    assert module.decode_activation is once


async def test_a_codec_still_reads_the_payloads_of_an_activation() -> None:
    assert spare_payload_visits()
    start = InitializeWorkflow(arguments=[Payload(metadata={"encoding": b"json/plain"}, data=b'"a"')])
    activation = WorkflowActivation(jobs=[WorkflowActivationJob(initialize_workflow=start)])
    coded = replace(DATA_CONVERTER, payload_codec=_Upper())
    await bridge.decode_activation(activation, coded, decode_headers=False, storage_concurrency_limit=3)
    assert activation.jobs[0].initialize_workflow.arguments[0].data == b'"A"'
