/**
 * The page that checks documents in the browser: files are read here and sent nowhere.
 */
import { ED25519, verifySignature } from "./compact_jws.js";
import { checkDocuments, siteKeyOf, sortDocuments } from "./dropped_documents.js";
import { readSiteKey } from "./signed_note.js";
import { Refusal, fromHex, toUtf8 } from "./strict_encoding.js";
import { Texts, verdictElement } from "./verdict_view.js";

// RFC 8032, section 7.1, test 1: a signature over no bytes.
const TEST_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const TEST_SIGNATURE =
  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

class VerifyPage {
  constructor() {
    this.texts = new Texts(this.part("texts"));
    this.dropped = [];
    this.checks = 0;
    this.site = null;
    this.running = Promise.resolve();
  }

  part(name) {
    return document.getElementById(`verify-${name}`);
  }

  async start() {
    if (!(await canCheck())) {
      const text = globalThis.isSecureContext ? "problem_old_browser" : "problem_insecure_page";
      this.say(this.texts.of(text));
      this.part("status").classList.add("problem");
      return;
    }
    const prefilled = this.part("prefilled").textContent.trim();
    if (prefilled !== "") {
      this.site = { ...(await readSiteKey(toUtf8(prefilled))), source: "key_from_site" };
    }
    this.showKey();
    for (const name of ["files", "folder", "key-file"]) {
      this.part(name).addEventListener("change", (event) => this.choose(event.target));
    }
    this.part("clear").addEventListener("click", () => this.clear());
    this.listenForDrops();
    this.part("drop").dataset.ready = "true";
  }

  choose(input) {
    this.add(Array.from(input.files, (file) => ({ path: file.webkitRelativePath || file.name, file })));
    input.value = "";
  }

  listenForDrops() {
    const area = this.part("drop");
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        area.classList.toggle("over", name === "dragenter" || name === "dragover");
      });
    }
    document.addEventListener("drop", async (event) => {
      // Both are asked for at once: after the first wait the browser has emptied the list.
      const items = Array.from(event.dataTransfer.items).filter((item) => item.kind === "file");
      const dropped = items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
      const found = dropped.map(([entry, file]) => (entry ? filesUnder(entry) : [{ path: file.name, file }]));
      this.add((await Promise.all(found).catch(() => this.giveUp())).flat());
    });
  }

  /** Check what was dropped before together with what is added; one check after the other. */
  add(files) {
    if (files.length > 0) {
      this.dropped = [...this.dropped, ...files];
      this.running = this.running.then(() => this.check(this.dropped)).catch(() => this.giveUp());
    }
  }

  /** Say that a file cannot be read, such as one that was removed meanwhile; start from none. */
  giveUp() {
    this.clear();
    this.part("verdicts").setAttribute("aria-busy", "false");
    this.part("progress").hidden = true;
    this.say(this.texts.of("problem_unreadable"));
    return [];
  }

  async check(dropped) {
    this.part("verdicts").setAttribute("aria-busy", "true");
    this.say(this.texts.of("checking"));
    const documents = await sortDocuments(dropped);
    const keys = documents.filter((one) => one.kind === "site_key");
    const problem = await this.takeKeys(keys);
    const others = documents.filter((one) => one.kind !== "site_key");
    const reports = await checkDocuments(others, this.site, (share) => this.showProgress(share));
    this.part("verdicts").replaceChildren(...reports.map((one) => verdictElement(one, this.texts)));
    this.part("verdicts").dataset.checks = String(++this.checks);
    this.part("verdicts").setAttribute("aria-busy", "false");
    this.part("progress").hidden = true;
    this.part("clear").hidden = false;
    const valid = reports.filter((one) => one.state === "valid").length;
    const values = { valid: this.texts.number(valid), all: this.texts.number(reports.length) };
    this.say(problem ?? (reports.length === 0 ? this.texts.of("key_taken") : this.texts.of("done", values)));
    const first = this.part("verdicts").firstElementChild;
    first?.focus({ preventScroll: false });
  }

  /** Take the last `site.pub` that was dropped; return a sentence if it cannot be used. */
  async takeKeys(documents) {
    const document = documents.at(-1);
    if (document === undefined) {
      return null;
    }
    try {
      this.site = { ...(await siteKeyOf(document)), source: "key_from_file" };
      this.showKey();
      return null;
    } catch (error) {
      return this.texts.of(error instanceof Refusal ? error.text : "problem_site_key");
    }
  }

  showKey() {
    const [key] = this.site?.keys ?? [null];
    this.part("key").dataset.source = this.site?.source ?? "no_key";
    this.part("key-source").textContent = this.texts.of(this.site?.source ?? "no_key");
    this.part("key-name").textContent = this.site?.name ?? "";
    this.part("key-id").textContent = key?.keyId ?? "";
    this.part("key-facts").hidden = this.site === null;
    const more = this.site === null ? 0 : this.site.keys.length - 1;
    const later = this.texts.of("key_replaced", { count: this.texts.number(more) });
    this.part("key-later").textContent = more > 0 ? later : "";
  }

  showProgress(share) {
    const bar = this.part("progress");
    bar.hidden = false;
    bar.value = share;
    this.say(this.texts.of("checking_share", { percent: this.texts.number(Math.floor(share * 100)) }));
  }

  say(text) {
    this.part("status").textContent = text;
  }

  clear() {
    this.dropped = [];
    this.part("verdicts").replaceChildren();
    this.part("clear").hidden = true;
    this.say("");
    this.part("files").focus();
  }
}

/** Return whether this browser verifies Ed25519; only pages with https, of this machine, or from a file may. */
async function canCheck() {
  if (!globalThis.crypto?.subtle) {
    return false;
  }
  try {
    return await verifySignature(ED25519, ED25519, fromHex(TEST_KEY), fromHex(TEST_SIGNATURE), new Uint8Array(0));
  } catch {
    return false;
  }
}

/** Return the files of a dropped entry, `{path, file}`; a folder gives all files under it. */
async function filesUnder(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = entry.createReader();
  const found = [];
  for (let some = await nextEntries(reader); some.length > 0; some = await nextEntries(reader)) {
    found.push(...some);
  }
  return (await Promise.all(found.map(filesUnder))).flat();
}

function nextEntries(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

new VerifyPage().start();
