// A session of staff that has ended while a page is open: says so, with a link that signs in again in another tab, so
// that what was typed here stays.

const notice = document.getElementById("signed-out");

// Whether this is the problem of an ended session; if so, it is said.
export function isSignedOut(error) {
  if (error.kind !== "credential") return false;
  notice.hidden = false;
  notice.querySelector("a").focus();
  return true;
}

// After the problem of an ended session: resolves to true when this page is looked at again, because the member may have
// signed in meanwhile. Resolves to false after any other problem.
export async function untilSignedIn(error) {
  if (!isSignedOut(error)) return false;
  await new Promise((resolve) => {
    const look = () => { if (!document.hidden) resolve(); };
    addEventListener("focus", look, { once: true });
    document.addEventListener("visibilitychange", look);
  });
  hideSignedOut();
  return true;
}

export function hideSignedOut() {
  if (notice) notice.hidden = true; // the person's own pages have none
}
