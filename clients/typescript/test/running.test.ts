/** Against a running installation: PLACET_URL, PROCESS (one stage, which the decider decides), two tokens. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ClaimRefusedError, documentOf, NotGrantedError, Placet, ProblemError, type Action } from "../src/index.js";

const { PLACET_URL: url = "", PROCESS: template = "", REQUESTER_TOKEN = "", DECIDER_TOKEN = "" } = process.env;
const asker = new Placet({ url, token: REQUESTER_TOKEN });
const decider = new Placet({ url, token: DECIDER_TOKEN });

async function decide(requestId: string, decision: "approve" | "reject"): Promise<void> {
  const tasks = documentOf(
    await decider.api.GET("/api/v1/workflow/tasks/", {
      params: { query: { assignee: "me", status: "open", request_id: requestId } },
    }),
  );
  const task = tasks.items[0];
  assert.ok(task);
  documentOf(
    await decider.api.POST("/api/v1/workflow/tasks/{task_id}/decide/", {
      params: { path: { task_id: task.id } },
      body: { decision, comment: "As I see it.", revision: task.revision },
    }),
  );
}

function transfer(amount: string): Action {
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  return { type: "transfer", target: "DE02", parameters: { amount, currency: "EUR" }, expires_at };
}

async function reasonOf(claim: Promise<unknown>): Promise<string | null> {
  try {
    await claim;
  } catch (error) {
    assert.ok(error instanceof ClaimRefusedError);
    return error.reason;
  }
  return null;
}

test("what people approve is claimed once, and nothing else is", async () => {
  const action = transfer("820.00");
  const key = `${template} once`;
  const request = await asker.start(template, {}, { title: "Pay", action, key });
  assert.equal((await asker.start(template, {}, { title: "Pay", action, key })).id, request.id);
  assert.equal(await reasonOf(asker.claim(request.id, action)), "not_approved");
  const [approved] = await Promise.all([
    asker.waitForApproval(request.id, { timeout: 60 }),
    decide(request.id, "approve"),
  ]);
  assert.equal(approved.tasks[0]?.decision, "approve");
  assert.equal(await reasonOf(asker.claim(request.id, { ...action, parameters: { amount: "8200.00" } })), "digest_mismatch");
  const claim = await asker.claim(request.id, action, { key: `${template} claim` });
  assert.deepEqual(await asker.claim(request.id, action, { key: `${template} claim` }), claim);
  assert.equal(claim.action_digest, request.action_digest);
  assert.equal(await reasonOf(asker.claim(request.id, action)), "already_claimed");
});

test("a rejection and a withdrawal are told apart", async () => {
  for (const standing of ["rejected", "withdrawn"] as const) {
    const request = await asker.start(template);
    const ends = standing === "rejected" ? decide(request.id, "reject") : asker.withdraw(request.id);
    const waits = asker.waitForApproval(request.id, { timeout: 60 });
    await Promise.all([
      ends,
      assert.rejects(waits, (error) => error instanceof NotGrantedError && error.standing === standing),
    ]);
  }
});

test("a refusal names the place", async () => {
  await assert.rejects(asker.start("No such process"), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.equal(error.problems[0]?.pointer, "/template");
    return true;
  });
  await assert.rejects(new Placet({ url, token: "placet_unknown" }).request("x"), (error) => error instanceof ProblemError && error.status === 401);
});
