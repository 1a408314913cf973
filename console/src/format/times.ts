// Times for people: local, with UTC in the tooltip, relative below a day.

const DAY_S = 86_400;

export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return "never";
  return `${span((now - Date.parse(time)) / 1_000)} ago`;
}

/** A length in words of one unit or two: 12 s, 5 min, 3 h, 2 d. */
export function span(seconds: number | null | undefined): string {
  if (seconds == null) return "–";
  const whole = Math.max(0, seconds);
  if (whole < 1) return `${Math.round(whole * 1_000)} ms`;
  if (whole < 60) return `${Math.floor(whole)} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min`;
  if (whole < DAY_S) return `${Math.floor(whole / 3_600)} h`;
  return `${Math.floor(whole / DAY_S).toLocaleString("en-US")} d`;
}

export function local(time: string | null | undefined): string {
  if (!time) return "–";
  // As `utc` writes it, so that two times side by side look alike.
  return new Date(time).toLocaleString("sv-SE", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  });
}

/** As the API writes it: 2024-12-31 00:00:00 UTC. */
export function utc(time: string | null | undefined): string {
  if (!time) return "";
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A day or a moment, whichever says enough. */
export function day(time: string | null | undefined): string {
  return time ? new Date(time).toISOString().slice(0, 10) : "–";
}
