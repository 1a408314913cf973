// The API key: it lives in the session's storage alone, and stands in no address that is kept.

const NAME = "api-key";
const FRAGMENT = /^#key=(.+)$/;

/** Take the key from `#key=…`, where a printed address brought it, and leave no trace of it. */
export function takeKeyFromAddress(): void {
  const found = FRAGMENT.exec(location.hash);
  if (!found?.[1]) return;
  keepKey(decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search);
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
