// What a person says against a reading: the entry of mapping.yaml with what is different.

import type { Schemas } from "../../api/client";
import { roleOf, type Profile } from "./profile";
import { entryOf, type Given } from "./settled";

export const FIELDS = ["symbol", "currency", "interval", "dates", "decimal", "timezone"] as const;
export const ROLES = [
  "time",
  "date",
  "open",
  "high",
  "low",
  "close",
  "price",
  "volume",
  "market_cap",
  "symbol",
  "currency",
];
/** What a column may be by its name alone. */
export const BY_NAME = ["quote_volume"];
const OF_EACH_ROW = "of each row";

/** What a file is read as. `columns`: empty where they are of several series. */
export interface Reading {
  fields: Record<string, string>;
  columns: { name: string; role: string }[];
}

export function readAs(found: Schemas["Inspection"]): Reading {
  const profile = (found.profile ?? {}) as Profile;
  const series = profile.series ?? [];
  const [first] = series;
  const fields: Record<string, string> = {};
  const known = {
    symbol: series.length === 1 ? first?.symbol : null,
    currency: first?.currency,
    interval: profile.interval,
    ...profile.mapping,
  };
  for (const name of FIELDS) {
    const value = known[name as keyof typeof known];
    if (typeof value === "string" && value !== OF_EACH_ROW) fields[name] = value;
  }
  // Of a file that is refused, what was said of its columns.
  const said = first ? [] : Object.entries(profile.mapping?.columns ?? {});
  const columns = (profile.columns ?? []).map((name, at) => {
    const found = said.find(([, column]) => column === at + 1 || column === name)?.[0];
    const role = found ?? roleOf(profile, name, at + 1) ?? "";
    return { name, role: ROLES.includes(role) || BY_NAME.includes(role) ? role : "" };
  });
  return { fields, columns: series.length > 1 ? [] : columns };
}

/** The entry; null while nothing is different. `roles`: by the number of a column, from 1 on. */
export function correction(
  path: string,
  before: Reading,
  fields: Record<string, string>,
  roles: Record<number, string>,
): Record<string, unknown> | null {
  const given: Given = {};
  for (const [name, text] of Object.entries(fields)) {
    const value = text.trim();
    if (value !== (before.fields[name] ?? "")) given[name] = value || null;
  }
  const changed = Object.entries(roles).flatMap(([number, role]) => {
    const column = before.columns[Number(number) - 1];
    return column && column.role !== role ? [{ number, role, column }] : [];
  });
  for (const { number, role } of changed) if (role) given[`columns.${role}`] = number;
  for (const { role, column } of changed) {
    // What it was counts on, unless another column is that now.
    if (ROLES.includes(column.role)) given[`columns.${column.role}`] ??= null;
    if (!role && column.name) given[`columns.${column.name}`] ??= null;
  }
  return Object.keys(given).length ? entryOf(path, given) : null;
}
