// Saves the end of a consent as an event for the person's calendar (iCalendar, RFC 5545). It is made here, of what the
// page shows; no code, number or name of the person is in it, because calendars are copied to other companies.

import { saveFile } from "./request.js";

const MAX_OCTETS = 75; // of a line; longer ones are folded
const button = document.getElementById("calendar");
const encoder = new TextEncoder();

function calendar({ day, summary, description }) {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  return [
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Volens//my data//EN", "BEGIN:VEVENT",
    `UID:${crypto.randomUUID()}`, `DTSTAMP:${stamp}`, `DTSTART;VALUE=DATE:${day}`, "TRANSP:TRANSPARENT",
    `SUMMARY:${escaped(summary)}`, `DESCRIPTION:${escaped(description)}`,
    "BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-P14D", `DESCRIPTION:${escaped(summary)}`, "END:VALARM",
    "END:VEVENT", "END:VCALENDAR", "",
  ].map(folded).join("\r\n");
}

const escaped = (text) => text.replace(/[\\;,]/g, "\\$&").replace(/\r?\n/g, "\\n");

// Breaks a long line; the next one begins with a blank. No character is cut in two.
function folded(line) {
  let text = "";
  let octets = 0;
  for (const one of line) {
    const size = encoder.encode(one).length;
    if (octets + size > MAX_OCTETS) {
      text += "\r\n ";
      octets = 1;
    }
    text += one;
    octets += size;
  }
  return text;
}

button.addEventListener("click", () => {
  saveFile(new Blob([calendar(button.dataset)], { type: "text/calendar" }), "consent-ends.ics");
});
button.hidden = false;
