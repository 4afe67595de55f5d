// Step 5: hands over what the browser alone holds (key or badge), and the receipt to other apps where the browser can.

import { keptSecret } from "./person_secret.js";
import { drawQr } from "./secret_qr.js";

const button = document.getElementById("share");
const receiptName = "volens-receipt.json";

async function receiptFile() {
  const answer = await fetch("/invitation/receipt/file", { credentials: "same-origin", cache: "no-store" });
  return new File([await answer.blob()], receiptName, { type: "application/json" });
}

async function showSecret() {
  const secret = keptSecret();
  if (!secret) return;
  const text = await secret.text();
  drawQr(document.getElementById("secret-qr"), text);
  document.getElementById("secret").hidden = false;
  document.getElementById("save-secret").addEventListener("click", () => save(`${text}\n`, "volens-secret.txt"));
}

function showBadge() {
  const badge = JSON.parse(sessionStorage.getItem("volens-badge") || "null");
  if (!badge) return;
  for (const address of badge.qrs) {
    const picture = document.createElement("img");
    picture.src = address;
    picture.alt = "QR";
    document.getElementById("badge-qrs").append(picture);
  }
  document.getElementById("badge").hidden = false;
  const bytes = Uint8Array.from(atob(badge.file), (one) => one.charCodeAt(0));
  document.getElementById("save-badge").addEventListener("click", () => save(bytes, "volens-badge.bin"));
}

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

showSecret();
showBadge();
if (navigator.canShare?.({ files: [new File([""], receiptName, { type: "application/json" })] })) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.share({ files: [await receiptFile()] }).catch(() => {});
  });
}
