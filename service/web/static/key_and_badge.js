// Hands over what the browser alone holds of a receipt: the person's key, or their badge.

import { keptBadge } from "./own_half.js";
import { keptSecret } from "./person_secret.js";
import { saveFile } from "./request.js";
import { drawQr } from "./secret_qr.js";

const { receipt } = document.getElementById("key-and-badge").dataset;

async function showSecret() {
  const secret = keptSecret(receipt);
  if (!secret) return;
  const text = await secret.text();
  drawQr(document.getElementById("secret-qr"), text);
  document.getElementById("secret").hidden = false;
  onClick("save-secret", () => saveFile(new Blob([`${text}\n`]), "volens-secret.txt"));
}

function showBadge() {
  const badge = keptBadge(receipt);
  if (!badge) return;
  badge.qrs.forEach((address, at) => {
    const picture = document.createElement("img");
    picture.src = address;
    picture.alt = `QR ${at + 1}`;
    document.getElementById("badge-qrs").append(picture);
  });
  document.getElementById("badge").hidden = false;
  const bytes = Uint8Array.from(atob(badge.file), (one) => one.charCodeAt(0));
  onClick("save-badge", () => saveFile(new Blob([bytes]), "volens-badge.bin"));
}

const onClick = (id, act) => document.getElementById(id).addEventListener("click", act);

showSecret();
showBadge();
