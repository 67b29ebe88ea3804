/** A `fetch` that repeats a call which got no answer, or "not now": after growing pauses, and with the same key. */

import { UnexpectedAnswerError, UnreachableError } from "./errors.js";

/** How long a call is repeated: `seconds` from its first attempt on, 0 for never; pauses double up to the longest. */
export interface Retries {
  seconds: number;
  firstPause: number;
  longestPause: number;
}

export const RETRIES: Retries = { seconds: 60, firstPause: 0.5, longestPause: 10 };
export const KEY = "Idempotency-Key";

type Fetch = (input: string, init: RequestInit) => Promise<Response>;

const NOT_NOW = new Set([408, 429, 502, 503, 504]);
const READS = new Set(["GET", "HEAD"]);
const ANSWER_SECONDS = 30; // beyond what a call asks the server to wait
const LONGEST_PAUSE = 3600; // seconds: what `Retry-After` may ask for at most
const MOST_BYTES = 32_000_000;

/** Return a `fetch` for one client; a call that changes something gets a key, unless it has one. */
export function repeating(fetch: Fetch, retries: Retries): (request: Request) => Promise<Response> {
  return async (request) => {
    const headers = new Headers(request.headers);
    const reads = READS.has(request.method);
    if (!reads && !headers.has(KEY)) headers.set(KEY, crypto.randomUUID());
    const key = reads ? null : headers.get(KEY);
    const body = reads ? null : await request.arrayBuffer();
    const began = Date.now();
    for (let made = 0; ; made += 1) {
      let answer: Response | undefined;
      let failure: unknown;
      try {
        answer = await once(fetch, request, headers, body);
      } catch (error) {
        if (request.signal.aborted || error instanceof UnexpectedAnswerError) throw error;
        failure = error;
      }
      if (answer && !NOT_NOW.has(answer.status)) return answer;
      const pause = Math.max(doubled(retries, made), answer ? retryAfter(answer) : 0);
      if ((Date.now() - began) / 1000 + pause > retries.seconds) {
        if (answer) return answer;
        throw new UnreachableError(failure, key);
      }
      await sleep(pause, request.signal);
    }
  };
}

/** Sleep; rejects where the signal is aborted meanwhile. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}

async function once(fetch: Fetch, request: Request, headers: Headers, body: ArrayBuffer | null): Promise<Response> {
  const waits = Number(new URL(request.url).searchParams.get("wait") ?? 0);
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error("it took too long")), (ANSWER_SECONDS + waits) * 1000);
  const aborted = (): void => silence.abort(request.signal.reason);
  if (request.signal.aborted) aborted();
  else request.signal.addEventListener("abort", aborted, { once: true });
  try {
    const init: RequestInit = { method: request.method, headers, redirect: "manual", signal: silence.signal };
    if (body && body.byteLength > 0) init.body = body;
    const answer = await fetch(request.url, init);
    if (answer.type === "opaqueredirect" || (answer.status >= 300 && answer.status < 400)) {
      throw new UnexpectedAnswerError(`${request.url} leads elsewhere; is this the address of Placet?`);
    }
    const content = await bounded(answer);
    return new Response(content.byteLength ? content : null, { status: answer.status, headers: answer.headers });
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", aborted);
  }
}

async function bounded(answer: Response): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = answer.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    length += part.value.byteLength;
    if (length > MOST_BYTES) {
      await reader?.cancel();
      throw new UnexpectedAnswerError(`The answer is longer than ${MOST_BYTES} bytes.`);
    }
    parts.push(part.value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function doubled(retries: Retries, made: number): number {
  const pause = Math.min(retries.longestPause, retries.firstPause * 2 ** Math.min(made, 16));
  return pause * (0.5 + Math.random() / 2); // callers that failed together come back at different times
}

function retryAfter(answer: Response): number {
  const said = answer.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(said) ? Math.min(Number(said), LONGEST_PAUSE) : 0;
}
