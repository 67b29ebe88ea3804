"""The command line: `placet COMMAND`. A command's module is loaded when the command is called."""

from __future__ import annotations

import typer

from cli.terminal.lazy_commands import LazyCommand, commands_of
from cli.terminal.streams import write_whole

# The help text of a command is the first paragraph of its function's docstring; a test holds the two together.
COMMANDS = (
    LazyCommand(
        "up",
        "cli.commands.up:up_command",
        "Start engine, API and worker together, and print where they are once everything is ready.",
    ),
    LazyCommand(
        "worker",
        "cli.commands.worker:worker_command",
        "Run a worker against the engine that TEMPORAL_ADDRESS names, or that `placet up` started.",
    ),
    LazyCommand(
        "api",
        "cli.commands.api:api_command",
        "Run the API against the engine that TEMPORAL_ADDRESS names, or that `placet up` started.",
    ),
    LazyCommand(
        "engine",
        "cli.commands.engine:engine_command",
        "Run only the engine, with its namespaces and search attributes, and print where it is.",
    ),
    LazyCommand(
        "prepare",
        "cli.commands.engine:prepare_command",
        "Register the namespaces and search attributes on an existing engine.",
    ),
    LazyCommand("migrate", "cli.commands.engine:migrate_command", "Bring the database to the newest schema."),
    LazyCommand("people", "cli.commands.people:people_app", "Who is in the organisation."),
    LazyCommand("token", "cli.commands.tokens:token_command", "Print a new API token for a person, and nothing else."),
    LazyCommand(
        "verify",
        "cli.commands.verify:verify_command",
        "Check audit chains against their rows and the engine's history; exit code 1 where one does not hold.",
    ),
    LazyCommand(
        "check",
        "cli.commands.definitions:check_command",
        "Prove blueprints sound, or show what is wrong; exit code 1 where there is an error.",
    ),
    LazyCommand(
        "import-bpmn",
        "cli.commands.bpmn:import_bpmn_command",
        "Print the blueprint that a BPMN file maps to; what of the file is not in it goes to standard error.",
    ),
    LazyCommand(
        "import-dmn",
        "cli.commands.bpmn:import_dmn_command",
        "Print the blueprint that a DMN decision maps to; what of the file is not in it goes to standard error.",
    ),
    LazyCommand(
        "simulate",
        "cli.commands.simulate:simulate_command",
        "Simulate a process before anyone is asked. The exit code is 1 where the simulation fails or finds errors.",
    ),
    LazyCommand(
        "doctor",
        "cli.commands.doctor:doctor_command",
        "Look whether everything is there that Placet needs; exit code 1 where something is not.",
    ),
    LazyCommand("openapi", "cli.commands.api:openapi_command", "Print the API's OpenAPI document."),
    LazyCommand(
        "demo",
        "cli.commands.demo:demo_command",
        "Play an approval from start to end with seconds for hours, and keep serving where somebody can watch.",
    ),
)

app = typer.Typer(
    cls=commands_of(COMMANDS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Approval processes on Temporal.",
)


@app.callback()
def _prepare() -> None:
    write_whole()
