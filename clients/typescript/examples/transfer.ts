import { ClaimRefusedError, NotGrantedError, Placet, type Action } from "../src/index.js";

const { PLACET_URL: url = "", PLACET_TOKEN: token = "", PROCESS: process_ = "Payments" } = process.env;
const placet = new Placet({ url, token });

const transfer: Action = {
  type: "transfer",
  target: "DE02 1203 0000 0000 2020 51",
  parameters: { amount: "820.00", currency: "EUR" },
  expires_at: new Date(Date.now() + 8 * 3600_000).toISOString(),
};
const request = await placet.start(process_, {}, { title: "Invoice 4711", action: transfer });
try {
  await placet.waitForApproval(request.id, { timeout: 8 * 3600 });
  await placet.claim(request.id, transfer); // succeeds once, for exactly this action
  console.log("820.00 EUR are sent");
} catch (error) {
  if (!(error instanceof NotGrantedError || error instanceof ClaimRefusedError)) throw error;
  console.log(error.message); // nothing is sent; each outcome has words of its own
}
