// Exchanges the token in the address for a session, once. The address bar does not keep it.
import { post, takeFragment } from "./request.js";

// Returns whether there was a token. Throws a ProblemError if it was refused.
export async function pair() {
  const token = takeFragment();
  if (!token) return false;
  await post(`${location.pathname}/session`, { token });
  location.reload();
  return true;
}

const refused = document.getElementById("refused");
if (refused) {
  pair().catch((error) => {
    document.getElementById(error.status ? "refused" : "lost").hidden = false;
  });
}
