/** Ask for an approval, wait for it, claim it. All other calls of the API are typed at `Placet.api`. */

import createClient, { type Client } from "openapi-fetch";

import { ClaimRefusedError, NotGrantedError, ProblemError, UnexpectedAnswerError, type Standing } from "./errors.js";
import type { components, paths } from "./schema.js";
import { KEY, repeating, RETRIES, sleep, type Retries } from "./transport.js";

/** Exactly one thing that shall be done: an approval holds for this and nothing else. Amounts are text. */
export type Action = components["schemas"]["BoundActionBody"];
/** A request for approval, with its tasks. */
export type ApprovalRequest = components["schemas"]["RequestView"];
/** The proof that an approved action may be carried out, once. */
export type Claim = components["schemas"]["ClaimedView"];

export interface Options {
  /** Where Placet is, such as https://placet.example.com. */
  url: string;
  /** A token of the caller; `placet token PERSON` prints one. */
  token: string;
  retries?: Partial<Retries>;
  /** Another `fetch` than the one of the platform. */
  fetch?: (input: string, init: RequestInit) => Promise<Response>;
}

export interface StartOptions {
  version?: string;
  title?: string;
  /** What the approval shall hold for. */
  action?: Action;
  /** For whom an admin asks. */
  requester?: string;
  /** The Idempotency-Key: the same one with the same arguments is the same request, also after a restart. */
  key?: string;
}

export interface WaitOptions {
  /** Seconds; without it the wait lasts as long as it takes. */
  timeout?: number;
  signal?: AbortSignal;
}

const LONGEST_POLL = 55; // seconds; the server waits no longer in one call
const EARLY_PAUSE = 1; // seconds, where the server answers before the time is over, as it does when it stops

/** The API of Placet for one caller. Calls that change something are repeated with their key while Placet is away. */
export class Placet {
  /** All calls of the API, typed by its OpenAPI document, with the same token and repeats. */
  readonly api: Client<paths>;
  readonly #retries: Retries;
  readonly #fetch: (input: string, init: RequestInit) => Promise<Response>;

  constructor(options: Options) {
    this.#retries = { ...RETRIES, ...options.retries };
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.api = createClient<paths>({
      baseUrl: addressOf(options.url),
      headers: { Authorization: `Bearer ${tokenOf(options.token)}`, Accept: "application/json" },
      fetch: repeating(this.#fetch, this.#retries),
    });
  }

  /** Start a request. With an `action`, the approval holds for exactly that, and once. */
  async start(
    template: string,
    input: Record<string, unknown> = {},
    { key = crypto.randomUUID(), ...more }: StartOptions = {},
  ): Promise<ApprovalRequest> {
    return documentOf(
      await this.api.POST("/api/v1/workflow/requests/", {
        params: { header: { [KEY]: key } },
        body: { template, input, ...more },
      }),
      key,
    );
  }

  /** Show a request. */
  async request(id: string): Promise<ApprovalRequest> {
    return documentOf(
      await this.api.GET("/api/v1/workflow/requests/{request_id}/", { params: { path: { request_id: id } } }),
    );
  }

  /**
   * Wait until a request has ended or was returned for changes, and return it. It asks again every 55 seconds, and goes
   * on where Placet was away. Throws a NotGrantedError with standing `pending` after the timeout.
   */
  async wait(id: string, { timeout = Infinity, signal }: WaitOptions = {}): Promise<ApprovalRequest> {
    const end = Date.now() + timeout * 1000;
    for (;;) {
      const asked = Date.now();
      const left = Math.max(0, (end - asked) / 1000);
      const seconds = Math.min(LONGEST_POLL, Math.ceil(left));
      const found = documentOf(
        await this.api.GET("/api/v1/workflow/requests/{request_id}/", {
          params: { path: { request_id: id }, query: { wait: seconds } },
          fetch: repeating(this.#fetch, { ...this.#retries, seconds: left }),
          ...(signal && { signal }),
        }),
      );
      if (found.status !== "pending" || found.returned) return found;
      if (Date.now() >= end) throw new NotGrantedError("pending", found);
      if (Date.now() - asked < (seconds - EARLY_PAUSE) * 1000) await sleep(EARLY_PAUSE, signal);
    }
  }

  /** Wait as `wait` does, and return an approved request; throws a NotGrantedError that says how another one stands. */
  async waitForApproval(id: string, options: WaitOptions = {}): Promise<ApprovalRequest> {
    const found = await this.wait(id, options);
    const standing = standingOf(found);
    if (standing !== null) throw new NotGrantedError(standing, found);
    return found;
  }

  /** Claim an approved action, once: whoever gets the claim may carry it out. Throws a ClaimRefusedError. */
  async claim(id: string, action: Action, { key = crypto.randomUUID() }: { key?: string } = {}): Promise<Claim> {
    const answer = await this.api.POST("/api/v1/workflow/requests/{request_id}/claim/", {
      params: { path: { request_id: id }, header: { [KEY]: key } },
      body: { action },
    });
    if (answer.response.status === 409) throw new ClaimRefusedError(409, problemOf(answer.error), key);
    return documentOf(answer, key);
  }

  /** Withdraw one's own request. */
  async withdraw(id: string, { reason, key = crypto.randomUUID() }: { reason?: string; key?: string } = {}): Promise<ApprovalRequest> {
    return documentOf(
      await this.api.POST("/api/v1/workflow/requests/{request_id}/withdraw/", {
        params: { path: { request_id: id }, header: { [KEY]: key } },
        body: { reason: reason ?? null },
      }),
      key,
    );
  }
}

/** Return what keeps a request from being approved, null where it is approved. */
export function standingOf(request: ApprovalRequest): Standing | null {
  if (request.status === "completed" && request.outcome === "approved") return null;
  if (request.status === "pending") return request.returned ? "changes_requested" : "pending";
  if (request.status === "failed") return "failed";
  const ended = request.outcome ?? request.status;
  return ended === "rejected" || ended === "expired" || ended === "withdrawn" || ended === "cancelled"
    ? ended
    : "ended_otherwise";
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Return the document of an answer of `Placet.api`; throws a ProblemError where the call was refused. */
export function documentOf<T>({ data, error, response }: Answer<T>, key: string | null = null): T {
  const kind = (response.headers.get("Content-Type") ?? "").split(";", 1)[0];
  if (response.status >= 400) throw new ProblemError(response.status, problemOf(error), key);
  if (data === undefined || kind !== "application/json") {
    throw new UnexpectedAnswerError(`Placet answered ${response.status} ${kind || "without a type"}; is this its address?`);
  }
  return data;
}

function problemOf(error: unknown): Record<string, unknown> {
  return typeof error === "object" && error !== null ? (error as Record<string, unknown>) : {};
}

function addressOf(url: string): string {
  const said = "The url is no address of Placet; write it as https://placet.example.com.";
  let parts: URL;
  try {
    parts = new URL(url);
  } catch {
    throw new TypeError(said);
  }
  const odd = parts.username || parts.password || parts.search || parts.hash;
  if (!["http:", "https:"].includes(parts.protocol) || odd) throw new TypeError(said);
  return url.replace(/\/+$/, "").replace(/\/api\/v1$/, "");
}

function tokenOf(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError("The token is empty, or has characters that no token has.");
  return token;
}
