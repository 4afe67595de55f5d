// The page to which the link of an invitation leads: sends the secret after the "#", and goes on.

import { post, say, takeFragment, texts } from "./request.js";

const words = texts();
const problem = document.getElementById("problem");

async function open() {
  const token = takeFragment();
  if (!token) return fail(words.missing);
  try {
    const answer = await post("/invitation/open", { token });
    location.replace(answer.next);
  } catch (error) {
    const isUnknown = error.kind === "unknown-invitation";
    fail(words[error.problem?.state] || words[isUnknown ? "unknown" : error.kind] || words.other);
  }
}

function fail(sentence) {
  document.getElementById("status").hidden = true;
  say(problem, sentence);
}

open();
