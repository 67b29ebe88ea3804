/** The errors of the client. Every one is a PlacetError; none of them means that something may be carried out. */

import type { ApprovalRequest } from "./client.js";

/** The call to Placet did not succeed. */
export class PlacetError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No answer came. Whether the call had an effect is unknown; repeat it with the same `key`. */
export class UnreachableError extends PlacetError {
  constructor(
    cause: unknown,
    /** The Idempotency-Key of the call; null of a call that only reads. */
    readonly key: string | null,
  ) {
    super(`Placet did not answer (${cause instanceof Error ? cause.message : String(cause)}).`, { cause });
  }
}

/** What answered is no API of Placet; check the address. */
export class UnexpectedAnswerError extends PlacetError {}

/** One fault of a call: a JSON Pointer into what was sent, and what is wrong there. */
export interface Fault {
  pointer: string;
  message: string;
}

/** The API refused the call, and says why (RFC 9457). */
export class ProblemError extends PlacetError {
  readonly title: string;
  /** The code of what stands in the way, of a 409; null where there is none. */
  readonly reason: string | null;
  readonly problems: readonly Fault[];

  constructor(
    readonly status: number,
    /** The problem document as it was received. */
    readonly document: Readonly<Record<string, unknown>>,
    readonly key: string | null,
  ) {
    super(text(document["detail"]) ?? text(document["title"]) ?? `The API answered ${status}.`);
    this.title = text(document["title"]) ?? "";
    this.reason = text(document["reason"]);
    this.problems = faults(document["errors"]);
  }
}

/**
 * The claim was refused, and nothing may be carried out. `reason` is `not_approved`, `digest_mismatch` (another action
 * was approved), `expired` or `already_claimed`.
 */
export class ClaimRefusedError extends ProblemError {}

/** How a request stands that is not approved. `pending`: nobody has decided; `expired`: nobody has denied it. */
export type Standing =
  | "pending"
  | "changes_requested"
  | "rejected"
  | "expired"
  | "withdrawn"
  | "cancelled"
  | "failed"
  | "ended_otherwise";

const SAYS: Record<Standing, string> = {
  pending: "still waits for a decision; it is neither approved nor rejected. Wait for it again by its id",
  changes_requested: "was returned for changes; it goes on once it is resubmitted",
  rejected: "was rejected",
  expired: "has expired: nobody decided in time, which is not a rejection",
  withdrawn: "was withdrawn by whoever asked",
  cancelled: "was cancelled",
  failed: "has failed: its process could not be carried out",
  ended_otherwise: "has ended with an outcome of the process's own, which is no approval",
};

/** A request has not led to an approval. */
export class NotGrantedError extends PlacetError {
  constructor(
    readonly standing: Standing,
    readonly request: ApprovalRequest,
  ) {
    super(`Request ${request.id} (${JSON.stringify(request.title)}) ${SAYS[standing]}.`);
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function faults(value: unknown): Fault[] {
  const rows: unknown[] = Array.isArray(value) ? value : [];
  return rows.flatMap((row) =>
    typeof row === "object" && row !== null
      ? [{ pointer: String((row as Fault).pointer ?? ""), message: String((row as Fault).message ?? "") }]
      : [],
  );
}
