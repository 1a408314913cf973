// What a file was taken for, as runs and inspections tell it.

interface Reason {
  what: string;
  is: string;
  because: string;
  columns?: string[];
}
export interface Profile {
  columns?: string[];
  series?: { symbol?: string; currency?: string; columns?: Record<string, number> }[];
  reasons?: Reason[];
  unused_columns?: string[];
  interval?: string | null;
  /** What mapping.yaml says. */
  mapping?: { columns?: Record<string, string | number | null> } & Record<string, unknown>;
}

/** What a column means, by its name and its number from 1 on; null: it is not used. */
export function roleOf(profile: Profile, name: string, number: number): string | null {
  for (const series of profile.series ?? []) {
    const role = Object.entries(series.columns ?? {}).find(([, column]) => column === number);
    if (role) return role[0];
  }
  const reason = profile.reasons?.find((each) =>
    each.columns?.some((column) => column === name || column === `number ${number}`),
  );
  return reason?.what ?? null;
}
