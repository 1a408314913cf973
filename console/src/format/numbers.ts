// Numbers for people. What is exact stands in a tooltip and in what is copied.

const SIGNIFICANT = 6;
const UNITS: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];

/** A price by its size: 73,917.29, 1.5, 0.00002154. Never in exponents. */
export function price(value: number | null | undefined): string {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 1_000) return grouped(value, 2);
  if (size === 0) return "0";
  const behind = Math.max(0, SIGNIFICANT - 1 - Math.floor(Math.log10(size)));
  return grouped(value, Math.min(behind, 20));
}

/** At most so many digits behind the point, without zeros at the end. */
function grouped(value: number, behind: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: behind });
}

/** What a number is exactly, without exponents. */
export function exact(value: number | null | undefined): string {
  if (value == null) return "";
  return value.toLocaleString("en-US", { maximumFractionDigits: 20, useGrouping: false });
}

/** 1,234,567 as 1.23 M. */
export function short(value: number | null | undefined): string {
  if (value == null) return "–";
  const [size, name] = UNITS.find(([least]) => Math.abs(value) >= least) ?? [1, ""];
  return `${grouped(value / size, 2)}${name && ` ${name}`}`;
}

export function count(value: number | null | undefined): string {
  return value == null ? "–" : value.toLocaleString("en-US");
}

/** With its sign: +1.97 %. */
export function percent(value: number | null | undefined): string {
  if (value == null) return "–";
  const text = Math.abs(value).toFixed(2);
  const sign = Number(text) === 0 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} %`;
}

/** A share from 0 to 1; what is not whole is never shown as 100 %. */
export function share(value: number | null | undefined): string {
  if (value == null) return "–";
  const text = Math.floor(value * 1_000) / 10;
  return `${text} %`;
}
