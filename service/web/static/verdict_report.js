/**
 * The report about one document: what it says, what was checked, and why it does not hold if it does not.
 *
 * A report holds names of texts (`msg_...` in the page) and values from the document, never markup.
 */
import { Refusal } from "./strict_encoding.js";

export class Report {
  /**
   * `kind` names the kind of document; `planned` the checks in their order.
   *
   * `state` is "valid"; "invalid": it does not hold; "wrong-key": it says that another site signed it; "no-key": it
   * cannot be checked without `site.pub`; "unknown": it is none of the documents.
   */
  constructor(name, kind, planned = []) {
    this.name = name;
    this.kind = kind;
    this.state = "valid";
    this.problem = null;
    this.facts = [];
    this.notes = [];
    this.limits = [];
    this.current = null;
    this.checks = planned.map((check) => ({ check, result: "open" }));
    this.content = null;
  }

  /** Record that a planned check holds. */
  holds(check) {
    this.checks.find((one) => one.check === check).result = "holds";
  }

  /** Name the check that is running, where checks do not follow each other in their order. */
  runs(check) {
    this.current = check;
  }

  /** Remove a planned check that this document has nothing for. */
  without(check) {
    this.checks = this.checks.filter((one) => one.check !== check);
  }

  /** Add a fact that the document states: text from the document, shown as it is. */
  fact(term, value) {
    this.facts.push({ term, value: String(value) });
  }

  /** Add a fact whose value the page translates, such as a reason; another value is shown as it is. */
  word(term, group, value) {
    this.facts.push({ term, value: String(value), word: `${group}_${value}` });
  }

  /** Add a fact that is a time, as `2099-04-01T08:00:01Z`. */
  moment(term, value) {
    this.facts.push({ term, value: String(value), isMoment: true });
  }

  /** Add a sentence about this document and another one; `result` is "holds", "fails" or "open". */
  note(text, values, result) {
    this.notes.push({ text, values, result });
  }

  /** Add a sentence about what this very document does not prove, besides those of its kind. */
  limit(text) {
    this.limits.push(text);
  }

  /** Run the checks; a document of an unexpected form is refused with one sentence. */
  async run(check) {
    try {
      this.content = await check(this);
    } catch (error) {
      this.refuse(error instanceof Refusal ? error : new Refusal("problem_form"));
    }
    return this;
  }

  refuse(refusal) {
    this.state = refusal.state;
    this.problem = { text: refusal.text, values: refusal.values };
    this.content = null;
    const running = this.checks.find((one) => one.check === this.current);
    const failed = running ?? this.checks.find((one) => one.result === "open");
    if (failed && refusal.state === "invalid") {
      failed.result = "fails";
    }
  }
}
