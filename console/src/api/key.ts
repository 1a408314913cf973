// The API key: it lives in the session's storage alone, and stands in no address that is kept.

const NAME = "api-key";
const FRAGMENT = /^#key=(.*)$/;
const PLAIN = /^[\x21-\x7e]+$/; // what a header can carry

/** Take the key from `#key=…`, where a printed address brought it, and leave no trace of it.
 * Returns whether there was one. */
export function takeKeyFromAddress(): boolean {
  const found = FRAGMENT.exec(location.hash);
  if (!found) return false;
  history.replaceState(null, "", location.pathname + location.search);
  const given = decoded(found[1] ?? "");
  if (PLAIN.test(given)) keepKey(given);
  return true;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** An address with a key may be put into a tab that is open already. */
export function watchAddress(): void {
  addEventListener("hashchange", () => {
    if (takeKeyFromAddress()) location.reload();
  });
}

export function key(): string | null {
  return sessionStorage.getItem(NAME);
}

export function keepKey(text: string): void {
  sessionStorage.setItem(NAME, text);
}

export function forgetKey(): void {
  sessionStorage.removeItem(NAME);
}
