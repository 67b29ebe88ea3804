"""Activities: what the engine calls outside of a workflow, and what carries them out.

The modules on this level hold what the engine calls (`@activity.defn`): recording, the directory, decision tokens,
sub-processes and catalog actions. `messages` has their inputs and results. What they use lies in the rooms below:
`actions/` (executors), `notifications/` (channels, delivery, templates) and `http_client/`.
"""
