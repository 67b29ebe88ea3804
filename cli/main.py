"""The command line: `placet COMMAND`. A command's module is loaded when the command is called."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.terminal.lazy_commands import LazyCommand, commands_of
from cli.terminal.streams import write_whole

# The help text of a command is the first paragraph of its function's docstring; a test holds the two together.
COMMANDS = (
    LazyCommand(
        "up",
        "cli.commands.up:up_command",
        "Start engine, API, worker and notifications, and print their addresses when all are ready.",
    ),
    LazyCommand(
        "worker",
        "cli.commands.worker:worker_command",
        "Run a worker on the engine that TEMPORAL_ADDRESS names, or on the one that `placet up` started.",
    ),
    LazyCommand(
        "api",
        "cli.commands.api:api_command",
        "Run the API on the engine that TEMPORAL_ADDRESS names, or on the one that `placet up` started.",
    ),
    LazyCommand(
        "engine",
        "cli.commands.engine:engine_command",
        "Run only the engine, with its namespaces and search attributes, and print its address.",
    ),
    LazyCommand(
        "prepare",
        "cli.commands.engine:prepare_command",
        "Register the namespaces and search attributes on an existing engine.",
    ),
    LazyCommand(
        "deployments",
        "cli.commands.deployments:deployments_app",
        "List versions of workers at the engine, and move requests from one to another.",
    ),
    LazyCommand("migrate", "cli.commands.engine:migrate_command", "Bring the database to the newest schema."),
    LazyCommand("people", "cli.commands.people:people_app", "Manage the people of the organisation."),
    LazyCommand("token", "cli.commands.tokens:token_command", "Create an API token for a person and print it."),
    LazyCommand("tokens", "cli.commands.tokens:tokens_app", "List and revoke API tokens."),
    LazyCommand(
        "login",
        "cli.commands.login:login_command",
        "Print a one-time address that logs a person in with a browser.",
    ),
    LazyCommand(
        "ask",
        "cli.commands.ask:ask_command",
        "Ask for an approval, for example in a pipeline, and wait for it. The exit code tells the outcomes apart.",
    ),
    LazyCommand(
        "mcp",
        "cli.commands.mcp:mcp_command",
        "Serve tools to agents by the Model Context Protocol: ask for an approval, wait for it, and claim it.",
    ),
    LazyCommand(
        "verify",
        "cli.commands.verify:verify_command",
        "Verify audit chains against the database and the engine's history. The exit code is 1 if one is broken.",
    ),
    LazyCommand(
        "evidence",
        "cli.commands.evidence:evidence_command",
        "Write an evidence pack of a process and a period for an auditor, as one signed archive.",
    ),
    LazyCommand(
        "keys", "cli.commands.keys:keys_app", "List and rotate the keys that sign receipts and encrypt payloads."
    ),
    LazyCommand(
        "check",
        "cli.commands.definitions:check_command",
        "Prove that blueprints are sound, or show their faults. The exit code is 1 if there is an error.",
    ),
    LazyCommand(
        "import-bpmn",
        "cli.commands.bpmn:import_bpmn_command",
        "Convert a BPMN file to a blueprint and print it. Elements that do not map are listed on standard error.",
    ),
    LazyCommand(
        "import-dmn",
        "cli.commands.bpmn:import_dmn_command",
        "Convert a DMN decision to a blueprint and print it. Elements that do not map are listed on standard error.",
    ),
    LazyCommand(
        "import-log",
        "cli.commands.event_logs:import_log_command",
        "Import the event log of another system, from which a blueprint can be suggested.",
    ),
    LazyCommand(
        "forecast-log",
        "cli.commands.log_trials:forecast_log_command",
        "Tell how right forecasts are about the latest cases of an event log, beside naive ones.",
    ),
    LazyCommand(
        "backtest-log",
        "cli.commands.log_trials:backtest_log_command",
        "Run the later cases of an event log through a blueprint, and show what would have changed.",
    ),
    LazyCommand(
        "simulate",
        "cli.commands.simulate:simulate_command",
        "Simulate a process without asking anybody. The exit code is 1 if the simulation fails or finds errors.",
    ),
    LazyCommand(
        "init",
        "cli.commands.init:init_command",
        "Make a folder for blueprints of your own, with people, tests and a workflow for CI.",
    ),
    LazyCommand(
        "test",
        "cli.commands.test:scenarios_command",
        "Run scenarios of blueprints. The exit code is 1 if one of them fails.",
    ),
    LazyCommand(
        "suggest",
        "cli.commands.suggest:suggest_command",
        "Mine the past of processes, and store what it suggests to change in them.",
    ),
    LazyCommand(
        "canaries", "cli.commands.canaries:canaries_app", "List canaries, begin one, and promote or revert its version."
    ),
    LazyCommand(
        "costs",
        "cli.commands.costs:costs_command",
        "Print what delay and people's work cost in a period, by process, stage and month.",
    ),
    LazyCommand(
        "draft",
        "cli.commands.draft:draft_command",
        "Have a language model write a blueprint, which is proved and stored as a draft or a suggestion.",
    ),
    LazyCommand(
        "doctor",
        "cli.commands.doctor:doctor_command",
        "Check this installation, and say what to do about each fault. The exit code is 1 if a check fails.",
    ),
    LazyCommand(
        "backup",
        "cli.commands.backup:backup_command",
        "Copy the databases and files of this installation into a folder, also while it runs.",
    ),
    LazyCommand(
        "restore",
        "cli.commands.backup:restore_command",
        "Restore a back-up into an installation that does not run, and erase again whom its ledger of erasures names.",
    ),
    LazyCommand("openapi", "cli.commands.api:openapi_command", "Print the API's OpenAPI document."),
    LazyCommand(
        "demo",
        "cli.commands.demo:demo_command",
        "Show a complete approval in which seconds stand for hours. In a terminal, keep the API running afterwards.",
    ),
)

app = typer.Typer(
    cls=commands_of(COMMANDS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Approval processes on Temporal.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"placet {version('placet')}")
        raise typer.Exit


@app.callback()
def _prepare(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    write_whole()
