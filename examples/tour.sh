#!/usr/bin/env bash
# One expense from its blueprint to a verified record, and then what if. Run it while `placet up --port 8420` runs.
set -euo pipefail
cd "$(dirname "$0")/.."
API=${API:-http://127.0.0.1:8420/api/v1}

say() { printf '\n== %s\n' "$*"; }
pick() { # pick KEY…: what is there in the JSON that comes in
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda at, key: at[int(key) if key.isdigit() else key], sys.argv[1:], json.load(sys.stdin)))' "$@"
}
show() { # show KEY…: these of the JSON that comes in, a line each
    python3 -c 'import json, sys
it = json.load(sys.stdin)
for key in sys.argv[1:]: print(key + ":", json.dumps(it[key], ensure_ascii=False))' "$@"
}
call() { # call TOKEN PATH [JSON]: GET, or POST where there is JSON
    local answer token=$1 path=$2
    answer=$(curl -sS --fail-with-body "$API/workflow/$path" -H "Authorization: Bearer $token" \
        ${3:+-H 'Content-Type: application/json' -d "$3"}) || { echo "$path: $answer" >&2; return 1; }
    printf '%s\n' "$answer"
}

curl -sS -o /dev/null --retry 120 --retry-delay 1 --retry-connrefused "$API/openapi.json"  # until it is up

say "People, and a token for each who takes part"
placet people load blueprints/people.json
RITA=$(placet token rita) MAX=$(placet token max) CARLA=$(placet token carla) OLIVIA=$(placet token olivia)

say "Olivia proves a process sound, sees what an expense would go through, and publishes it"
placet check blueprints/expense.json
placet simulate blueprints/expense.json --input '{"amount": "7250.00", "department": "sales"}' --requester rita
TEMPLATE=$(call "$OLIVIA" process-templates/ @blueprints/expense.json | pick id)
call "$OLIVIA" "process-templates/$TEMPLATE/publish/" '{}' | show name version status

say "Rita asks for a trade fair stand"
REQUEST=$(call "$RITA" requests/ '{"template": "Expense approval", "title": "Trade fair stand",
    "input": {"amount": "7250.00", "department": "sales"}}' | pick id)

say "Max, her manager, approves from his inbox; above 5,000 Carla, the CFO, is asked as well"
TASK=$(call "$MAX" "tasks/?assignee=me&status=open" | pick items 0 id)
call "$MAX" "tasks/$TASK/decide/" '{"decision": "approve", "comment": "Go."}' | show status stage
TASK=$(call "$CARLA" "tasks/?assignee=me&status=open" | pick items 0 id)
call "$CARLA" "tasks/$TASK/decide/" '{"decision": "approve"}' | show status outcome

say "What happened, and whether the record of it holds"
call "$RITA" "requests/$REQUEST/timeline/" | python3 -c 'import json, sys
for entry in json.load(sys.stdin)["items"]: print(entry["at"], entry["actor"], entry["kind"], entry["stage"] or "")'
call "$OLIVIA" "requests/$REQUEST/audit/verify/" | show ok entries head engine_head
placet verify "$REQUEST"

ask() { # ask JSON: a simulation, once it has come to its end
    local found
    found=$(call "$OLIVIA" workflow-simulations/ "$1")
    found=workflow-simulations/$(pick id <<<"$found")
    call "$OLIVIA" "$found/events/" >/dev/null  # streams while it runs
    call "$OLIVIA" "$found/"
}
say "Explore: every way through the process, with an input that takes each"
ask '{"mode": "explore", "template": "Expense approval", "input": {"amount": 7200, "department": "it"}}' |
    show status outcome predicted_duration statistics
say "Rehearse: the production workflow on the engine, in virtual time, with a history in the Temporal Web UI"
ask '{"mode": "rehearse", "template": "Expense approval", "input": {"amount": 7200, "department": "it"}, "requester": "rita",
      "script": [{"stage": "Manager Approval", "decision": "wait"},
                 {"stage": "Manager Approval", "approver": "dana", "decision": "approve", "after_hours": 30}]}' | show status outcome agrees_with_explore links
say "Replay: Rita's request against today's code, and again with another deadline and another decision"
ask '{"mode": "replay", "request_id": "'"$REQUEST"'",
      "patch": [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 4}],
      "script": [{"stage": "CFO Approval", "decision": "reject", "after_hours": 3}]}' | show status outcome history before after
say "Backtest: past requests through a candidate, with decisions and response times as they were"
ask '{"mode": "backtest", "template": "Expense approval",
      "patch": [{"op": "replace", "path": "/graph_spec/edges/3/condition", "value": "amount > 8000"}]}' | show status totals
say "Shadow: a candidate beside live requests, until it is called off"
SHADOW=$(call "$OLIVIA" workflow-simulations/ '{"mode": "shadow", "template": "Expense approval", "for_hours": 72,
      "patch": [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 8}]}' | pick id)
call "$OLIVIA" "workflow-simulations/$SHADOW/cancel/" '{}' | show status totals
