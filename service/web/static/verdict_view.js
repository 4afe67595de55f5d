/**
 * Writes a report as a verdict in words. All text is set as text, never as markup: documents come from anyone.
 */
const STATE_ICONS = { valid: "holds", invalid: "fails" };

/** The texts of the page, by name, in the language of the page. */
export class Texts {
  constructor(root) {
    const { lang } = document.documentElement;
    this.locale = lang === "en" ? "en-GB" : lang;
    this.texts = new Map(Array.from(root.content.children, (one) => [one.dataset.text, one.textContent]));
    this.icons = new Map(Array.from(root.content.children, (one) => [one.dataset.icon, one.firstElementChild]));
  }

  has(name) {
    return this.texts.has(name);
  }

  /** Return a text with its values filled in; a text that is missing is a bug, and shows its name. */
  of(name, values = {}) {
    const text = this.texts.get(name) ?? name;
    return text.replace(/\{(\w+)\}/g, (whole, value) => (Object.hasOwn(values, value) ? String(values[value]) : whole));
  }

  /** Return the texts `name_1`, `name_2` ... as far as there are any. */
  list(name) {
    const found = [];
    while (this.has(`${name}_${found.length + 1}`)) {
      found.push(this.of(`${name}_${found.length + 1}`));
    }
    return found;
  }

  /** Return the icon of a result: "holds", "fails" or "open". */
  icon(result) {
    return this.icons.get(result).cloneNode(true);
  }

  number(value) {
    return new Intl.NumberFormat(this.locale).format(value);
  }
}

/** Return the element of a verdict. */
export function verdictElement(report, texts) {
  const section = element("article", "verdict");
  section.dataset.state = report.state;
  section.dataset.kind = report.kind;
  section.tabIndex = -1;
  section.append(headOf(report, texts));
  if (report.problem !== null) {
    section.append(element("p", "problem", texts.of(report.problem.text, report.problem.values)));
  }
  for (const { text, values, result } of report.notes) {
    section.append(marked("p", "note", result, texts.of(text, values), texts, ""));
  }
  if (report.state === "valid") {
    section.append(...part(texts.of("heading_says"), factsOf(report, texts)));
  }
  if (report.checks.length > 0 && report.state !== "no-key") {
    section.append(...part(texts.of("heading_checked"), checksOf(report, texts)));
  }
  if (report.state === "valid") {
    section.append(...part(texts.of("heading_proves"), element("p", "", texts.of(`proves_${report.kind}`))));
    const limits = [...report.limits.map((one) => texts.of(one)), ...texts.list(`limit_${report.kind}`)];
    section.append(...part(texts.of("heading_limits"), listOf(limits)));
  }
  return section;
}

function headOf(report, texts) {
  const head = element("header", "verdict-head");
  const words = element("div");
  words.append(element("h2", "", texts.of(`kind_${report.kind}`)), element("p", "file", report.name));
  const badge = element("p", "state");
  badge.append(texts.icon(STATE_ICONS[report.state] ?? "open"), texts.of(`state_${report.state}`));
  head.append(words, badge);
  return head;
}

function factsOf(report, texts) {
  const list = element("dl", "statement");
  let last = null;
  for (const fact of report.facts.filter(({ value }) => value !== "")) {
    if (fact.term !== last) {
      list.append(element("dt", "", texts.of(`term_${fact.term}`)));
    }
    last = fact.term;
    const value = element("dd");
    value.append(fact.isMoment ? momentOf(fact.value, texts) : valueOf(fact, texts));
    list.append(value);
  }
  return list;
}

function valueOf({ value, word }, texts) {
  if (word !== undefined && texts.has(word)) {
    return texts.of(word);
  }
  return /^[1-9][0-9]*$/.test(value) && value.length < 16 ? texts.number(Number(value)) : value;
}

/** A time in the reader's own time zone, with its exact time in UTC. */
function momentOf(value, texts) {
  const moment = new Date(value);
  if (Number.isNaN(moment.getTime())) {
    return document.createTextNode(value);
  }
  const time = element("time");
  time.dateTime = value;
  time.append(new Intl.DateTimeFormat(texts.locale, { dateStyle: "long", timeStyle: "long" }).format(moment));
  if (moment.getTimezoneOffset() !== 0) {
    time.append(" ", element("span", "utc", `(${value.slice(11, 19)} UTC)`));
  }
  return time;
}

function checksOf(report, texts) {
  const list = element("ul", "checks");
  for (const { check, result } of report.checks) {
    list.append(marked("li", "check", result, texts.of(`check_${report.kind}_${check}`), texts));
  }
  return list;
}

/** A line with a shape and a word for its result. */
function marked(tag, name, result, text, texts, word = texts.of(`result_${result}`)) {
  const line = element(tag, `${name} ${result}`);
  const words = element("span");
  words.append(element("strong", "result", word), word === "" ? text : ` ${text}`);
  line.append(texts.icon(result), words);
  return line;
}

function listOf(items) {
  const list = element("ul", "limits");
  list.append(...items.map((one) => element("li", "", one)));
  return list;
}

function part(heading, content) {
  return [element("h3", "", heading), content];
}

function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name !== "") {
    made.className = name;
  }
  made.textContent = text;
  return made;
}
