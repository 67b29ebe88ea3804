#!/usr/bin/env bash
# A step of a pipeline that deploys once people have approved exactly this release.
# PLACET_URL and PLACET_TOKEN (or PLACET_TOKEN_FILE) come from the pipeline's secrets; RUN names this run of it.
set -euo pipefail
PROCESS=$1 RELEASE=$2 UNTIL=$3

ACTION=$(printf '{"type": "deploy", "target": "billing", "parameters": {"release": "%s"}, "expires_at": "%s"}' "$RELEASE" "$UNTIL")
code=0
placet ask "$PROCESS" --title "Deploy billing $RELEASE" --action "$ACTION" --claim --key "${RUN:?}" || code=$?
case $code in
    0) echo "deploying $RELEASE" ;;
    10) echo "denied" ;;
    11) echo "nobody decided in time" ;;
    20) echo "still pending: run this step again, it waits for the same request" ;;
    *) echo "not approved ($code)" ;;
esac
exit "$code"
