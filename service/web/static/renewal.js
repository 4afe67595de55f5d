// Renewal: asks for the new receipt, lets the person sign it with the same key, and hands it over.

import { ProblemError, post, say } from "./request.js";
import { refreshIfStale, words } from "./my_data.js";
import { signWithBrowserKey, signWithPasskey } from "./sign.js";

const form = document.getElementById("renewal");
const button = form?.querySelector("button");
const problem = document.getElementById("problem");

async function renew() {
  const { form: kind, notice, zone, noKey } = form.dataset;
  const offer = await post(`${form.action}/offer`, { notice_sha256: notice });
  const made = await (kind === "passkey" ? signWithPasskey(offer) : signWithBrowserKey(offer, zone));
  if (!made) return say(problem, noKey);
  const { next } = await post(form.action, { signed: made.signed });
  location.replace(next);
}

function sentence(error) {
  if (error.name === "NotAllowedError" || error.name === "AbortError") return form.dataset.stopped;
  return words(error, form);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  say(problem, "");
  try {
    await renew();
  } catch (error) {
    if (error instanceof ProblemError && refreshIfStale(error)) return;
    say(problem, sentence(error));
  } finally {
    button.disabled = false;
  }
});
