// Where the console is: everything that can be looked at has an address, `/?room=coin&symbol=btc`.

import { useEffect, useReducer } from "preact/hooks";

export type Place = Record<string, string>;
const MOVED = "moved";

export function here(): Place {
  return Object.fromEntries(new URLSearchParams(location.search));
}

export function addressOfPlace(place: Partial<Place>): string {
  const given = Object.entries(place).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const text = new URLSearchParams(given).toString();
  return text ? `/?${text}` : "/";
}

export function go(place: Partial<Place>): void {
  const before = here();
  history.pushState(null, "", addressOfPlace(place));
  const isElsewhere = before["room"] !== place["room"] || before["symbol"] !== place["symbol"];
  if (isElsewhere) scrollTo(0, 0);
  dispatchEvent(new Event(MOVED));
}

/** Change parts of the address, in the same room; null takes one away. */
export function change(parts: Record<string, string | null>, keep = false): void {
  const place: Record<string, string> = here();
  for (const [name, value] of Object.entries(parts)) {
    if (value === null) delete place[name];
    else place[name] = value;
  }
  if (keep) history.pushState(null, "", addressOfPlace(place));
  else history.replaceState(null, "", addressOfPlace(place));
  dispatchEvent(new Event(MOVED));
}

export function usePlace(): Place {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const reader = () => redraw(0);
    addEventListener(MOVED, reader);
    addEventListener("popstate", reader);
    return () => {
      removeEventListener(MOVED, reader);
      removeEventListener("popstate", reader);
    };
  }, []);
  return here();
}
