// Asks a person to turn the head: frame by frame the site says what to ask for, and the frames that it took are kept.

const EVERY_MS = 350;
const TURNING = ["turn_left", "turn_right"];

// Resolves to the sealed challenge and the frames in their order; null if the time is over, or if it was stopped.
// `frame` returns a picture, or null; `send` takes it and the challenge, and returns what the site says, or null.
// `tell` gets the word of what is asked, and `arrow` shows the side.
export async function turnHead({ isWanted, frame, send, tell, arrow }) {
  let challenge = "";
  const frames = [];
  try {
    while (isWanted()) {
      const began = performance.now();
      const shown = await frame();
      const said = shown && await send(shown, challenge);
      if (!isWanted() || said?.answer === "time_over") return null;
      if (said) {
        challenge = said.challenge;
        if (said.taken) frames.push(shown);
        if (said.answer === "done") return { challenge, frames };
        tell(said.answer);
        arrow.dataset.side = TURNING.includes(said.answer) ? said.answer : "";
      }
      await new Promise((done) => { setTimeout(done, Math.max(0, began + EVERY_MS - performance.now())); });
    }
    return null;
  } finally {
    arrow.dataset.side = "";
  }
}

// The form of one frame of a challenge.
export function frameForm(frame, challenge) {
  const form = new FormData();
  form.append("frame", frame, "frame.jpg");
  if (challenge) form.append("challenge", challenge);
  return form;
}
