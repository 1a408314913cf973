// What a refusal asks for: the lines for mapping.yaml that stand at its end.

export interface Asked {
  /** Such as `symbol`, or `columns.time`. */
  name: string;
  /** What the file suggests; empty where a person must say it. */
  value: string;
  /** What else it may be, in the words of the refusal. */
  note: string;
}

export const CHOICES: Record<string, string[]> = {
  dates: ["day_first", "month_first", "year_first"],
  decimal: [".", ","],
  encoding: ["utf-8", "cp1252"],
};
/** What a choice is asked as. */
export const QUESTIONS: Record<string, string> = {
  dates: "What comes first in its dates?",
  decimal: "What stands before fractions?",
  encoding: "In which encoding is it?",
};
export const TEXTS: Record<string, string> = {
  day_first: "the day: 31/01/2024",
  month_first: "the month: 01/31/2024",
  year_first: "the year: 2024/01/31",
  ".": "a point: 1.5",
  ",": "a comma: 1,5",
};
const LINE = /^ {4}(\w+): *([^#\n]*?) *(?:# *(.*))?$/;
const PAIR = /([^:,{}]+): *([^,{}]+)/g;

/** Empty where the message has no such lines. */
export function askedBy(message: string): Asked[] {
  const [, lines] = message.split("mapping.yaml\nfiles:\n");
  if (!lines) return [];
  return lines.split("\n").flatMap((line) => {
    const [, name, value, note] = LINE.exec(line) ?? [];
    if (!name) return [];
    // Of what can be read in two ways none is chosen beforehand.
    if (name !== "columns") {
      return [{ name, value: name in CHOICES ? "" : plain(value), note: note ?? "" }];
    }
    return [...(value ?? "").matchAll(PAIR)].map(([, role, column]) => ({
      name: `columns.${plain(role)}`,
      value: plain(column),
      note: note ?? "",
    }));
  });
}

function plain(text: string | undefined): string {
  const bare = (text ?? "").trim().replace(/^(['"])(.*)\1$/, "$2");
  return bare === "…" ? "" : bare;
}

/** The entry that says it. Empty answers are left out; null takes back what was said before. */
export function entryOf(file: string, given: Given): Record<string, unknown> {
  // Without a slash a pattern means files of this name in every folder.
  const entry: Record<string, unknown> = { file: file.includes("/") ? file : `/${file}` };
  const columns: Record<string, string | number | null> = {};
  for (const [name, text] of Object.entries(given)) {
    const value = text?.trim() ?? null;
    if (value === "") continue;
    if (name.startsWith(COLUMN)) columns[name.slice(COLUMN.length)] = numbered(value);
    else entry[name] = name === "header_rows" ? numbered(value) : value;
  }
  if (Object.keys(columns).length) entry["columns"] = columns;
  return entry;
}

const COLUMN = "columns.";
/** Answers by name, those of columns as `columns.time`. */
export type Given = Record<string, string | null>;

function numbered(value: string | null): string | number | null {
  return value !== null && /^\d+$/.test(value) ? Number(value) : value;
}
