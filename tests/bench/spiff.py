"""The same one-step process in SpiffWorkflow, an engine of BPMN in Python that is used as a library.

Both read `one-step.bpmn`: somebody decides, and a gateway leads to one of two ends. SpiffWorkflow keeps a tree of
tasks in memory and evaluates the gateway's condition as Python; it knows no people, calendars or deadlines, and writes
down nothing. Placet's core asks the directory who approves, opens a task for them, checks their right to decide,
writes five entries of the audit chain with their hashes, and says who is to be told.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.script_engine.python_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

ONE_STEP = Path(__file__).with_name("one-step.bpmn")
NAME = f"SpiffWorkflow {version('spiffworkflow')}"


def ready() -> Callable[[], None]:
    """Parse the process once; returns what runs one request of it, from its start to its end."""
    parser = BpmnParser()
    parser.add_bpmn_file(str(ONE_STEP))
    process = parser.get_spec("one-step")
    engine = PythonScriptEngine()

    def run() -> None:
        workflow = BpmnWorkflow(process, script_engine=engine)
        workflow.do_engine_steps()
        task = workflow.get_next_task(state=TaskState.READY, manual=True)
        task.data["decision"] = "approve"
        task.run()
        workflow.do_engine_steps()
        assert workflow.completed
        assert workflow.get_next_task(spec_name="approved").state == TaskState.COMPLETED

    return run
