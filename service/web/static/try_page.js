// Step 4: waits until the door has known the person, and says when.

import { post } from "./request.js";

const status = document.getElementById("status");
const EVERY_MS = 2000;
const AT_MOST = 300; // ten minutes

async function watch() {
  for (let asked = 0; asked < AT_MOST; asked += 1) {
    const answer = await post("/invitation/tried", {}).catch(() => ({}));
    if (answer.watched === false) return;
    if (answer.clock) {
      status.textContent = `${status.dataset.known} ${answer.clock}.`;
      status.classList.add("good");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

watch();
