// The API key: it lives in the session's storage alone, and stands in no address that is kept.

const NAME = "api-key";
const FRAGMENT = /^#key=(.*)$/;
const CODE = /^#code=([\w.-]+)$/;
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

/** Change a one-time code in the address, which `make open` made, for the key; leave no trace of it.
 * Returns why it was refused, null where all is well or there was none. */
export async function takeCodeFromAddress(): Promise<string | null> {
  const code = CODE.exec(location.hash)?.[1];
  if (!code) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    const response = await fetch("/console/key", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
    const answer = (await response.json()) as { key?: string; detail?: string };
    if (answer.key) keepKey(answer.key);
    return answer.key ? null : (answer.detail ?? response.statusText);
  } catch (error) {
    return String(error);
  }
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
    if (takeKeyFromAddress() || CODE.test(location.hash)) location.reload();
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
