import assert from "node:assert/strict";
import { test } from "node:test";

import { NotGrantedError, Placet, ProblemError, UnexpectedAnswerError, UnreachableError } from "../src/index.js";

type Step = Response | Error;
interface Sent {
  url: string;
  key: string | null;
  body: unknown;
}

const REQUEST = { id: "r1", title: "A chair", status: "pending", outcome: null, returned: false };
const FAST = { seconds: 5, firstPause: 0.001, longestPause: 0.01 };

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": type, ...headers } });
}

/** A client whose calls are answered in this order, and what it sends. */
function scripted(steps: Step[], retries = FAST): { placet: Placet; sent: Sent[] } {
  const sent: Sent[] = [];
  const placet = new Placet({
    url: "https://placet.example.com/",
    token: "placet_secret",
    retries,
    fetch: async (url, init) => {
      const headers = new Headers(init.headers);
      assert.equal(headers.get("Authorization"), "Bearer placet_secret");
      const body = init.body ? JSON.parse(new TextDecoder().decode(init.body as ArrayBuffer)) : null;
      sent.push({ url, key: headers.get("Idempotency-Key"), body });
      const step = steps.shift() ?? new Error("no answer is left");
      if (step instanceof Error) throw step;
      return step;
    },
  });
  return { placet, sent };
}

test("a call without an answer is repeated with its key and its body", async () => {
  const { placet, sent } = scripted([new TypeError("away"), json({}, 503, { "Retry-After": "0" }), json(REQUEST, 201)]);
  const found = await placet.start("Payments", { amount: "820.00" }, { title: "A chair" });
  assert.equal(found.id, "r1");
  assert.equal(new Set(sent.map((one) => one.key)).size, 1);
  assert.match(sent[0]?.key ?? "", /^[0-9a-f-]{36}$/);
  for (const one of sent) {
    assert.deepEqual(one.body, { template: "Payments", input: { amount: "820.00" }, title: "A chair" });
  }
});

test("calls of the whole API have a key, and reading has none", async () => {
  const { placet, sent } = scripted([json({ items: [], next_cursor: null }), json(REQUEST)]);
  await placet.api.GET("/api/v1/workflow/tasks/", { params: { query: { assignee: "me" } } });
  await placet.api.POST("/api/v1/workflow/requests/{request_id}/comments/", {
    params: { path: { request_id: "r1" } },
    body: { text: "Why?" },
  });
  assert.deepEqual(
    sent.map((one) => one.key === null),
    [true, false],
  );
});

test("after its time it says that the outcome is unknown, with the key to ask again", async () => {
  const { placet, sent } = scripted([new TypeError("away"), new TypeError("away")], { ...FAST, seconds: 0 });
  await assert.rejects(placet.claim("r1", { type: "t", target: "x", parameters: {}, expires_at: "2026-01-01T00:00:00Z" }, { key: "k" }), (error) => {
    assert.ok(error instanceof UnreachableError);
    assert.equal(error.key, "k");
    return true;
  });
  assert.equal(sent.length, 1);
});

test("a refusal is not repeated, and has its reason and its places", async () => {
  const document = { title: "No", status: 422, detail: "No such process.", errors: [{ pointer: "/template", message: "No." }] };
  const { placet, sent } = scripted([json(document, 422)]);
  await assert.rejects(placet.start("Nothing"), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.status, error.message, error.problems[0]?.pointer], [422, "No such process.", "/template"]);
    return true;
  });
  assert.equal(sent.length, 1);
});

test("waiting goes on where Placet was away, and ends with what the request has come to", async () => {
  const rejected = { ...REQUEST, status: "completed", outcome: "rejected" };
  const { placet, sent } = scripted([new TypeError("away"), json(rejected)]);
  await assert.rejects(placet.waitForApproval("r1"), (error) => {
    assert.ok(error instanceof NotGrantedError);
    assert.equal(error.standing, "rejected");
    return true;
  });
  assert.ok(sent[0]?.url.endsWith("/api/v1/workflow/requests/r1/?wait=55"), sent[0]?.url);
});

test("waiting ends with its timeout, and says that nobody has decided", async () => {
  const { placet } = scripted([json(REQUEST)]);
  await assert.rejects(placet.wait("r1", { timeout: 0 }), (error) => {
    assert.ok(error instanceof NotGrantedError);
    assert.equal(error.standing, "pending");
    return true;
  });
});

test("waiting can be given up", async () => {
  const { placet } = scripted([json(REQUEST)]);
  const giveUp = new AbortController();
  setTimeout(() => giveUp.abort(new Error("enough")), 10);
  await assert.rejects(placet.wait("r1", { signal: giveUp.signal }), /enough/);
});

test("an answer that is none of Placet's is refused", async () => {
  const page = new Response("<html>", { headers: { "Content-Type": "text/html" } });
  const elsewhere = new Response(null, { status: 302, headers: { Location: "https://example.net" } });
  const large = new Response(new Uint8Array(33_000_000), { headers: { "Content-Type": "application/json" } });
  for (const answer of [page, elsewhere, large]) {
    await assert.rejects(scripted([answer]).placet.request("r1"), (error) => !(error instanceof UnreachableError));
  }
  await assert.rejects(scripted([elsewhere]).placet.request("r1"), UnexpectedAnswerError);
});

test("an address and a token that cannot be are refused", () => {
  for (const url of ["", "placet", "ftp://placet", "https://me:secret@placet", "https://placet/?x=1"]) {
    assert.throws(() => new Placet({ url, token: "t" }), TypeError);
  }
  assert.throws(() => new Placet({ url: "https://placet", token: "a b" }), TypeError);
});
