// A pad with ten digits on the screen; a keyboard works, too. What is typed is shown as dots, and dropped after use.

const LONGEST = 12;
const SHORTEST = 4;

export class PinPad {
  constructor(screens) {
    this.screens = screens;
    this.digits = "";
    this.done = null;
    document.getElementById("pad").addEventListener("click", (event) => {
      const digit = event.target.closest("[data-digit]")?.dataset.digit;
      if (digit) this.type(digit, false);
    });
    document.getElementById("erase-digit").addEventListener("click", () => this.type("Backspace", false));
    document.getElementById("pin-done").addEventListener("click", () => this.type("Enter", false));
  }

  // Resolves to the digits; never, if the kiosk goes to sleep before. `again`: the PIN before did not fit.
  ask(again, seconds) {
    this.stop();
    this.screens.write(document.getElementById("pin-asked"), again ? "pinAgain" : "pin");
    this.screens.show("pin", seconds);
    return new Promise((done) => { this.done = done; });
  }

  stop() {
    this.digits = "";
    this.done = null;
    this.#draw();
  }

  // Handles a key; returns whether it was one of the pad. Enter on a button presses that button.
  type(key, onButton) {
    if (/^\d$/.test(key)) this.digits = (this.digits + key).slice(0, LONGEST);
    else if (key === "Backspace") this.digits = this.digits.slice(0, -1);
    else if (key !== "Enter" || onButton) return false;
    else if (this.digits.length >= SHORTEST && this.done) {
      const { digits, done } = this;
      this.stop();
      done(digits);
      return true;
    }
    this.#draw();
    if (this.digits) this.screens.write(document.getElementById("said"), "digits", { number: this.digits.length });
    return true;
  }

  #draw() {
    document.getElementById("dots").textContent = "●".repeat(this.digits.length);
  }
}
