// Speaks advice through a live region, for people who do not see the picture: politely, and at most every few seconds,
// because advice changes several times a second and a screen reader would read all of it.

const EVERY_MS = 3000;

export class SpokenHint {
  constructor(region) {
    this.region = region;
    this.spokenAt = -EVERY_MS;
    this.waiting = null; // timer
    this.newest = "";
  }

  // Speaks the newest sentence as soon as it may. One that was replaced meanwhile is never spoken.
  say(sentence) {
    this.newest = sentence;
    if (this.waiting) return;
    const pause = Math.max(0, this.spokenAt + EVERY_MS - performance.now());
    this.waiting = setTimeout(() => {
      this.waiting = null;
      if (this.region.textContent === this.newest) return;
      this.region.textContent = this.newest;
      this.spokenAt = performance.now();
    }, pause);
  }

  stop() {
    clearTimeout(this.waiting);
    this.waiting = null;
    this.region.textContent = "";
  }
}

// A short buzz, where the device has it and the person has not asked for less motion.
export function buzz() {
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) navigator.vibrate?.(80);
}
