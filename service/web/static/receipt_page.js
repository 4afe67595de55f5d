// Step 5: hands the receipt to other apps where the browser can.

const button = document.getElementById("share");
const receiptName = "volens-receipt.json";

async function receiptFile() {
  const answer = await fetch("/invitation/receipt/file", { credentials: "same-origin", cache: "no-store" });
  return new File([await answer.blob()], receiptName, { type: "application/json" });
}

if (navigator.canShare?.({ files: [new File([""], receiptName, { type: "application/json" })] })) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.share({ files: [await receiptFile()] }).catch(() => {});
  });
}
