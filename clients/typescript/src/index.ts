/** The client of Placet's HTTP API; README.md has an example. */
export {
  documentOf,
  Placet,
  standingOf,
  type Action,
  type ApprovalRequest,
  type Claim,
  type Options,
  type StartOptions,
  type WaitOptions,
} from "./client.js";
export {
  ClaimRefusedError,
  NotGrantedError,
  PlacetError,
  ProblemError,
  UnexpectedAnswerError,
  UnreachableError,
  type Fault,
  type Standing,
} from "./errors.js";
export { type Retries } from "./transport.js";
export type { components, operations, paths } from "./schema.js";
