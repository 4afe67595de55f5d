// The screens of a kiosk, one at a time, in one of the languages of the page; after a while without a touch it sleeps.

export class Screens {
  // `fellAsleep` is called each time that the kiosk goes back to sleep.
  constructor(kiosk, fellAsleep) {
    this.kiosk = kiosk;
    this.fellAsleep = fellAsleep;
    this.all = new Map([...kiosk.querySelectorAll("[data-screen]")].map((one) => [one.dataset.screen, one]));
    this.current = "asleep";
    this.siteLanguage = document.documentElement.lang;
    this.seconds = 0;
    this.timer = 0;
    this.spoken = new Map();  // elements whose word depends on what happened
    for (const kind of ["pointerdown", "keydown", "input"]) document.addEventListener(kind, () => this.stayAwake());
    this.speak(this.siteLanguage);
  }

  // Writes all words in a language.
  speak(language) {
    document.documentElement.lang = language;
    this.words = document.querySelector(`template[data-words="${language}"]`).dataset;
    for (const one of document.querySelectorAll("[data-word]")) one.textContent = this.words[one.dataset.word];
    for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", this.words[one.dataset.label]);
    for (const one of document.querySelectorAll("[data-speak]")) {
      one.setAttribute("aria-pressed", String(one.dataset.speak === language));
    }
    for (const [element, said] of this.spoken) element.textContent = this.sentence(said);
  }

  // Writes a word of the page into an element, now and after the language changes.
  write(element, word, values = {}) {
    const said = { word, values };
    const text = this.sentence(said);
    this.spoken.set(element, said);
    if (element.textContent !== text) element.textContent = text;
  }

  // As `write`; a screen reader speaks it.
  announce(element, word, values = {}) {
    this.write(element, word, values);
    this.write(document.getElementById("said"), word, values);
  }

  sentence({ word, values }) {
    return Object.entries(values).reduce((text, [name, one]) => text.replace(`%(${name})s`, one), this.words[word]);
  }

  // Shows a screen, moves the focus to its heading, and sleeps after some seconds without a touch; 0 is never.
  show(name, seconds = 0) {
    this.current = name;
    this.kiosk.dataset.shown = name;
    for (const [one, screen] of this.all) screen.hidden = one !== name;
    document.getElementById("said").textContent = "";
    this.spoken.delete(document.getElementById("said"));
    this.all.get(name).querySelector("h1").focus({ preventScroll: true });
    this.seconds = seconds;
    this.stayAwake();
  }

  stayAwake() {
    clearTimeout(this.timer);
    if (this.seconds) this.timer = setTimeout(() => this.sleep(), 1000 * this.seconds);
  }

  sleep() {
    this.speak(this.siteLanguage);
    this.show("asleep");
    this.fellAsleep();
  }
}
