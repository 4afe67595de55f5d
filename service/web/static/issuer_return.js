// The browser came back from the house's sign-in service: hands over what stood in the address, and takes it out of it.

import { post, say, texts } from "./request.js";

const words = texts();
const query = new URLSearchParams(location.search);
history.replaceState(null, "", location.pathname);
const status = document.getElementById("status");

try {
  if (!query.get("code")) throw Object.assign(new Error(), { kind: "refused" });
  const { next } = await post("/staff/oidc", { code: query.get("code"), state: query.get("state") || "" });
  location.replace(next);
} catch (error) {
  status.hidden = true;
  const kind = { "session-ended": "late", "sign-in-refused": "refused" }[error.kind] || error.kind;
  say(document.getElementById("problem"), words[kind] || words.other);
}
